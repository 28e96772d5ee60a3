"""A new epoch with all stored data, built on topics of its own beside the running system."""

from __future__ import annotations

from datetime import UTC, datetime

from deploy.config.identity_policy import (
    describe_reordering,
    find_reordered_kinds,
    parse_policy,
    serialize_policy,
)
from deploy.kafka.control import NEXT, Generation, announce, generation_namespace, read_control
from deploy.kafka.topics import ensure
from deploy.kafka.topology import generation_topics
from deploy.operations.rebuild.cleanup import ordered_table, remove_abandoned
from deploy.operations.rebuild.context import RebuildContext, RebuildError, Tools
from deploy.operations.rebuild.history import History
from deploy.operations.rebuild.live_copy import COPIED
from deploy.operations.rebuild.replay import suspend_retention
from deploy.operations.rebuild.switch import copy_round
from schemas.topics import LINK_REQUESTS, TOUCHPOINTS

#: Number of touches not copied yet that is small enough for the switch.
_CAUGHT_UP = 2_000
_MEMBERS_S = 30.0


def build(context: RebuildContext, before: Generation) -> tuple[Generation, int]:
    """Build the new epoch up to the newest record; return it, and the number of stored touches.

    `before` is the present epoch, which continues unaffected. Raises `RebuildError`. On an error or
    interrupt the partial epoch is removed; if the process is killed, the next rebuild removes it.
    """
    _preflight(context, before)
    own = _next_generation(context, before)
    try:
        _create(context, own)
        context.work_on(own)
        with context.tools(own) as tools:
            touches = _replay_history(context, before, own, tools)
            _catch_up(context, before, tools)
    except BaseException:
        context.abandon(own)
        raise
    return own, touches


def refused_order(context: RebuildContext) -> str | None:
    """Return why a rebuild refuses the policy, or None: see `find_reordered_kinds`."""
    shown = context.epochs.shown()
    if shown is None:
        return None
    configured = context.settings.identity.policy()
    kinds = History(context.store, context.settings.namespace, shown.number).kinds()
    order = find_reordered_kinds(parse_policy(shown.policy, configured), configured, kinds)
    return f"identity.kinds: {describe_reordering(*order)}" if order else None


def _preflight(context: RebuildContext, before: Generation) -> None:
    if problem := refused_order(context):
        raise RebuildError(problem)
    if not context.members(before, 1, _MEMBERS_S):
        raise RebuildError(
            "nobody works on the present epoch, and what came in last would be missing: start "
            "worker and sink"
        )
    control = read_control(context.settings.kafka, context.settings.namespace)
    if control.next is not None:
        remove_abandoned(context.settings, context.store, context.cluster, control.next)


def _next_generation(context: RebuildContext, before: Generation) -> Generation:
    """Begin an epoch in ClickHouse and return its generation, of which Kafka has nothing yet."""
    settings = context.settings
    policy = serialize_policy(settings.identity.policy())
    number = context.epochs.begin(before.cluster_id, datetime.now(UTC), policy).number
    return Generation(
        number,
        before.cluster_id,
        generation_namespace(settings.namespace, number),
        settings.topic_partitions,
        policy,
        before.namespace,
    )


def _create(context: RebuildContext, own: Generation) -> None:
    """Announce a generation and create its topics.

    It is announced first, so that the next rebuild finds it if this one is killed.
    """
    settings = context.settings
    announce(settings.kafka, settings.namespace, own, NEXT)
    ensure(context.cluster, generation_topics(settings, own.namespace))
    suspend_retention(context.cluster, own.namespace)
    context.say(f"building epoch {own.epoch} on topics {own.namespace}.*")


def _replay_history(
    context: RebuildContext, before: Generation, own: Generation, tools: Tools
) -> int:
    present = context.progress(before)
    context.say("waiting until what has come in so far is stored")
    present.wait_until_drained()
    at = {topic.name: present.processed_offsets(topic.name) for topic in COPIED}
    # Everything processed by then is published, and after this second wait it is also stored.
    present.wait_until_drained()
    for topic in COPIED:
        tools.copy.begin(topic.name, at[topic.name])
    shown = context.epochs.shown()
    number = before.epoch if shown is None else shown.number
    # The later links of the present epoch are copied from its topic.
    until = at[LINK_REQUESTS.name][0] if number == before.epoch else None
    history = History(context.store, context.settings.namespace, number, until)
    tools.replay.links(history)
    touches = tools.replay.touches(history, ordered_table(own.epoch))
    tools.progress.wait_until_drained()
    return touches


def _catch_up(context: RebuildContext, before: Generation, tools: Tools) -> None:
    context.say("catching up with what has come in since")
    present = context.progress(before)
    while True:
        copy_round(tools, present.processed_offsets(TOUCHPOINTS.name), context.beat)
        tools.progress.wait_until_drained()
        if tools.copy.left(TOUCHPOINTS.name) <= _CAUGHT_UP:
            return
