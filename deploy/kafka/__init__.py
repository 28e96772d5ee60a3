"""Kafka: connections, topics, positions, and the epoch that all processes follow.

clients             arguments of the Kafka clients, made from the configuration
topics              creation of topics, and deviations from their declaration
topology            the topics of a deployment and of each generation, and their readers
compacted_topic     reads and writes a topic of few records: the last value of each key
control             the present and the next generation, in the topic `control`
cursors             positions of imports and pulls, in the topic `cursors`
lag                 unread records of every consumer group, and the wait until there are none
operator_publisher  publishes the records of imports, pulls, replays, splits and rebuilds
admission           flow control for the embedded broker; detect_embedded: asks whether it is one
"""
