"""A new epoch with all stored data, built on topics of its own beside the running system."""

from __future__ import annotations

from datetime import UTC, datetime

from deploy.config.identity_policy import described, reordered, reordering, restored
from deploy.kafka.control import NEXT, Generation, announce, generation_namespace, read_control
from deploy.kafka.topics import ensure
from deploy.kafka.topology import generation_topics
from deploy.operations.rebuild.context import RebuildError, Site, Tools
from deploy.operations.rebuild.history import History
from deploy.operations.rebuild.leftovers import ordered_table, remove_abandoned
from deploy.operations.rebuild.live_copy import COPIED
from deploy.operations.rebuild.replay import keep
from deploy.operations.rebuild.switch import copy_round
from schemas.topics import LINK_REQUESTS, TOUCHPOINTS

#: Number of touches not copied yet that is small enough for the switch.
_CAUGHT_UP = 2_000
_MEMBERS_S = 30.0


def build(site: Site, before: Generation) -> tuple[Generation, int]:
    """Build the new epoch up to the newest record; return it, and the number of stored touches.

    `before` is the present epoch, which continues unaffected. Raises `RebuildError`. On an error or
    interrupt the partial epoch is removed; if the process is killed, the next rebuild removes it.
    """
    _preflight(site, before)
    own = _begin(site, before)
    try:
        site.work_on(own)
        with site.tools(own) as tools:
            touches = _replay_history(site, before, own, tools)
            _catch_up(site, before, tools)
    except BaseException:
        site.abandon(own)
        raise
    return own, touches


def refused_order(site: Site) -> str | None:
    """Return why a rebuild refuses the policy, or None: see `identity_policy.reordered`."""
    shown = site.epochs.shown()
    if shown is None:
        return None
    configured = site.settings.identity.policy()
    kinds = History(site.store, site.settings.namespace, shown.number).kinds()
    order = reordered(restored(shown.policy, configured), configured, kinds)
    return f"identity.kinds: {reordering(*order)}" if order else None


def _preflight(site: Site, before: Generation) -> None:
    if problem := refused_order(site):
        raise RebuildError(problem)
    if not site.members(before, 1, _MEMBERS_S):
        raise RebuildError(
            "nobody works on the present epoch, and what came in last would be missing: start "
            "worker and sink"
        )
    control = read_control(site.settings.kafka, site.settings.namespace)
    if control.next is not None:
        remove_abandoned(site.settings, site.store, site.cluster, control.next)


def _begin(site: Site, before: Generation) -> Generation:
    settings = site.settings
    policy = described(settings.identity.policy())
    number = site.epochs.begin(before.cluster_id, datetime.now(UTC), policy).number
    own = Generation(
        number,
        before.cluster_id,
        generation_namespace(settings.namespace, number),
        settings.topic_partitions,
        policy,
        before.namespace,
    )
    # Announced before anything is created, so that the next rebuild finds it if this one is killed.
    announce(settings.kafka, settings.namespace, own, NEXT)
    ensure(site.cluster, generation_topics(settings, own.namespace))
    keep(site.cluster, own.namespace)
    site.say(f"building epoch {number} on topics {own.namespace}.*")
    return own


def _replay_history(site: Site, before: Generation, own: Generation, tools: Tools) -> int:
    present = site.processing(before)
    site.say("waiting until what has come in so far is stored")
    present.drained()
    at = {topic.name: present.reached(topic.name) for topic in COPIED}
    # Everything processed by then is published, and after this second wait it is also stored.
    present.drained()
    for topic in COPIED:
        tools.copy.begin(topic.name, at[topic.name])
    shown = site.epochs.shown()
    number = before.epoch if shown is None else shown.number
    # The later links of the present epoch are copied from its topic.
    until = at[LINK_REQUESTS.name][0] if number == before.epoch else None
    history = History(site.store, site.settings.namespace, number, until)
    tools.replay.links(history)
    touches = tools.replay.touches(history, ordered_table(own.epoch))
    tools.processing.drained()
    return touches


def _catch_up(site: Site, before: Generation, tools: Tools) -> None:
    site.say("catching up with what has come in since")
    present = site.processing(before)
    while True:
        copy_round(tools, present.reached(TOUCHPOINTS.name), site.beat)
        tools.processing.drained()
        if tools.copy.left(TOUCHPOINTS.name) <= _CAUGHT_UP:
            return
