"""Ways to Kafka: the port that publishes touchpoints, and what stands behind it."""
