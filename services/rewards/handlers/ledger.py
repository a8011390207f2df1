"""The one way into the ledger: transactions, entries, balances, lots, boards, levels, in that order and all or none.

Whatever posts takes its locks in this order too (transactions, member accounts, system accounts, boards), so postings
that overlap wait for each other and never in a circle. Statements per call are bounded, whatever the number of
postings.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from kit.clock import uuid7
from kit.copies import KnownCommunity, known_communities
from kit.database import Tx
from kit.days import local_day
from kit.errors import Unavailable
from kit.turns import in_turns
from services.rewards.domain import debts
from services.rewards.domain.boards import Contribution
from services.rewards.domain.debts import Standing
from services.rewards.domain.groups import is_group
from services.rewards.domain.ledger import (
    DEFAULT_UNITS,
    GRANT,
    MINT,
    RECORD_DEBT,
    REFUSE,
    REVERSAL,
    SYSTEM_ACCOUNTS,
    Posting,
    Unit,
    check_amount,
    digest,
)
from services.rewards.handlers import awarding, boards, levels, lots
from services.rewards.handlers.counting import count_points
from services.rewards.store import entries as reading
from services.rewards.store import ledger as store
from services.rewards.store import segments
from services.rewards.store.holds import wrong_escrows
from services.rewards.store.lots import wrong_lots


class Grant(NamedTuple):
    """`amount` of `unit` that a rule gives `member_id` for an event; minus takes. Never 0. `idem_key` is the 32
    bytes of R1: the same key is paid once, whatever the amount says the second time. A group is paid under the id of
    its account, which is there (`handlers.groups`)."""

    community_id: UUID
    member_id: UUID
    unit: str
    amount: int
    rule_id: str
    rule_version: int
    source_event_id: UUID
    effective_at: datetime
    idem_key: bytes
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What of some postings was new, and the members' and groups' accounts (community, owner, unit) afterwards."""

    fresh: list[Posting]
    accounts: dict[debts.Key, Standing]


async def post_grants(
    tx: Tx,
    grants: Sequence[Grant],
    *,
    history: Mapping[UUID, bool],
    places: Mapping[UUID, KnownCommunity] | None = None,
    takebacks: Sequence[Posting] = (),
    units: Mapping[tuple[UUID, str], Unit] = MappingProxyType({}),
    besides: Sequence[Posting] = (),
) -> dict[bytes, UUID]:
    """Post what is not there yet; idem_key → transaction id of the newly posted ones.

    `besides` is posted with them: a transaction goes through the ledger once, or its locks would have no order.

    `history` says by source event whether it is imported history (missing: no). A grant may take a balance below the
    unit's minimum. `places` are the communities, where the caller has read them. `takebacks` are reversals of all that
    is left of grants whose lines the caller holds, in `units`; they come after the grants. Raises Unavailable for a
    community this service has not heard of yet: try again in a moment.
    """
    if not grants and not takebacks and not besides:
        return {}
    if places is None:
        places = await known_communities(tx, {g.community_id for g in grants})
    postings: list[Posting] = []
    async for part in in_turns(grants):
        postings += [_posting(tx, grant, _day(grant, places)) for grant in part]
    fresh = await begin(tx, [*postings, *takebacks, *besides])
    owing: set[tuple[UUID, str]] = set()
    if takebacks:
        fresh = await _affordable(tx, fresh, {key for key, unit in units.items() if unit.clawback == REFUSE}, units)
        owing = {key for key, unit in units.items() if unit.clawback == RECORD_DEBT}
    if taken_back := [p.reverses for p in fresh if p.reverses is not None]:
        await store.note_rest_reversed(tx, taken_back)
    done = await finish(tx, fresh, history=history, owing=owing)
    return {p.idem_key: p.id for p in done.fresh}


async def _affordable(
    tx: Tx, fresh: list[Posting], refusing: Collection[tuple[UUID, str]], units: Mapping[tuple[UUID, str], Unit]
) -> list[Posting]:
    """Without the reversals that would leave less than the minimum of a unit that is `refusing` it; these are taken
    back again. In the order of the postings, against the balances as they would become."""
    if not refusing:
        return fresh
    # All accounts, though some matter only: what follows takes them too, and locks are taken in one go.
    held = await store.lock_of(tx, fresh)
    balances = {key: account.balance for key, account in held.items()}
    kept, refused = [], []
    for p in fresh:
        key, unit = (p.community_id, p.member_id, p.unit), (p.community_id, p.unit)
        after = balances[key] + p.amount
        if p.kind == REVERSAL and p.amount < 0 and unit in refusing and after < units[unit].minimum:
            refused.append(p)
        else:
            balances[key] = after
            kept.append(p)
    for community_id in {p.community_id for p in refused}:
        ids = [p.id for p in refused if p.community_id == community_id]
        await store.remove_transactions(tx, community_id, ids)
    return kept


def _day(grant: Grant, places: Mapping[UUID, KnownCommunity]) -> date:
    place = places.get(grant.community_id)
    if place is None:
        raise Unavailable(f"community {grant.community_id} is not known here yet", code="community_unknown")
    return local_day(grant.effective_at, place.zone, place.day_start)


def _posting(tx: Tx, grant: Grant, day: date) -> Posting:
    check_amount(grant.amount)
    return Posting(
        id=uuid7(tx.now),
        community_id=grant.community_id,
        idem_key=grant.idem_key,
        payload_hash=digest(grant.member_id, grant.unit, grant.amount, grant.rule_id, grant.source_event_id),
        kind=GRANT,
        member_id=grant.member_id,
        counter=MINT,
        unit=grant.unit,
        amount=grant.amount,
        effective_at=grant.effective_at,
        day=day,
        scored=not is_group(grant.member_id),
        rule_id=grant.rule_id,
        rule_version=grant.rule_version,
        source_event_id=grant.source_event_id,
        reason=grant.reason,
    )


async def record(tx: Tx, postings: Sequence[Posting], *, history: Mapping[UUID, bool] | None = None) -> Recorded:
    """Post those whose idempotency key is new, with everything that follows from them. A reversal among them takes
    back the whole of its original."""
    fresh = await begin(tx, postings)
    if taken_back := [p.reverses for p in fresh if p.reverses is not None]:
        await store.note_rest_reversed(tx, taken_back)
    return await finish(tx, fresh, history=history)


async def begin(tx: Tx, postings: Sequence[Posting]) -> list[Posting]:
    """Record the transactions; returns the postings that are new (of two with one key the first)."""
    new = await store.add_transactions(tx, postings)
    fresh = []
    for posting in postings:
        key = posting.community_id, posting.idem_key
        if key in new:
            new.discard(key)
            fresh.append(posting)
    return fresh


async def finish(
    tx: Tx,
    fresh: list[Posting],
    *,
    history: Mapping[UUID, bool] | None = None,
    owing: Collection[tuple[UUID, str]] = (),
) -> Recorded:
    """Entries, balances, debts, lots, boards, levels and badges of transactions that `begin` recorded.

    `owing` are the units (with their communities) in which what reversals cannot take is owed.
    """
    if not fresh:
        return Recorded([], {})
    await store.add_entries(tx, fresh)
    after = await store.move(tx, fresh)
    accounts = {b.key: Standing(b.balance, b.debt) for b in after if not b.system or is_group(b.owner_id)}
    terms = {(b.community_id, b.unit): b.lots for b in after if b.system and b.lots is not None}
    spared = await lots.spare(tx, fresh, terms) if terms else lots.NOTHING
    accounts |= await _post_besides(tx, spared.postings)
    owed = await _settle_debts(tx, fresh, accounts, owing)
    if terms:
        await lots.follow(tx, [*fresh, *owed], accounts, terms, spared)
    besides = [*spared.postings, *owed]
    tx.after_commit.append(partial(count_points, [*fresh, *besides]))
    followed = {(b.community_id, b.unit) for b in after if b.system and b.followers}
    counted = [p for p in fresh if p.scored and (p.community_id, p.unit) in followed]
    contributions = [_contribution(p, history or {}) for p in counted]
    await boards.count(tx, contributions)
    balances = {key: account.balance for key, account in accounts.items()}
    # What is captured was the member's until it was held, and leaves another account.
    moved = [p for p in (*fresh, *besides) if p.of_member and (p.community_id, p.unit) in followed]
    await levels.follow(tx, contributions, moved, balances)
    awarding.note_balances(tx, moved, balances, history or {})
    return Recorded(fresh, accounts)


async def _settle_debts(
    tx: Tx, fresh: Sequence[Posting], accounts: dict[debts.Key, Standing], owing: Collection[tuple[UUID, str]]
) -> list[Posting]:
    """Post what is owed or paid off because of these postings, and bring the accounts up to it.

    Right after the balances, which this transaction holds: the account `debt` is the last of the system accounts that
    anybody takes, and boards come after it.
    """
    found = debts.consequences(fresh, accounts, owing)
    if not found:
        return []
    postings = [debts.posting(uuid7(tx.now), kind, amount, cause) for _, kind, amount, cause in found]
    accounts |= await _post_besides(tx, postings)
    return postings


async def _post_besides(tx: Tx, postings: Sequence[Posting]) -> dict[debts.Key, Standing]:
    """Post what follows from other postings, which hold the members' accounts; how those stand then."""
    if not postings:
        return {}
    await store.add_transactions(tx, postings)
    await store.add_entries(tx, postings)
    return {b.key: Standing(b.balance, b.debt) for b in await store.move(tx, postings) if not b.system}


def _contribution(posting: Posting, history: Mapping[UUID, bool]) -> Contribution:
    return Contribution(
        posting.community_id,
        posting.member_id,
        posting.unit,
        posting.amount,
        posting.effective_at,
        posting.day,
        taken_back=posting.kind == REVERSAL,
        history=posting.source_event_id is not None and history.get(posting.source_event_id, False),
        event_id=posting.source_event_id,
    )


async def ensure_defaults(tx: Tx, community_ids: Iterable[UUID]) -> None:
    """Units, system accounts, level table and the boards for communities that have no units yet."""
    wanted = set(community_ids)
    missing = sorted(wanted - await store.places_of(tx, wanted))
    if not missing:
        return
    for community_id in missing:
        await segments.hold_alone(tx, community_id)
    new = await store.add_units(tx, [(c, unit) for c in missing for unit in DEFAULT_UNITS])
    await store.open_system_accounts(tx, [(c, name, unit) for c, unit in new for name in SYSTEM_ACCOUNTS])
    ready = sorted({c for c, _ in new})
    await levels.add_defaults(tx, ready)
    for community_id in ready:
        await boards.add_defaults(tx, community_id)


async def ensure_unit(tx: Tx, community_ids: Iterable[UUID], unit: Unit) -> None:
    """The unit with its system accounts, in communities that have none of its id."""
    new = await store.add_units(tx, [(c, unit) for c in sorted(set(community_ids))])
    await store.open_system_accounts(tx, [(c, name, unit.id) for c, _ in sorted(new) for name in SYSTEM_ACCOUNTS])


async def verify(tx: Tx) -> list[str]:
    """What is wrong with the books, in words; [] when every transaction sums to zero, every balance is the sum of
    its entries, every reversal is noted on its original, every debt is what its entries say, no account has lots
    of more than its balance and `escrow` has what is held. Reads the whole ledger."""
    wrong = [
        f"transaction {r.transaction_id} sums to {r.sum} {r.unit}" for r in await reading.unbalanced_transactions(tx)
    ]
    wrong += [
        f"account {r.owner_id} has {r.balance} {r.unit}, its entries sum to {r.sum}"
        for r in await reading.wrong_balances(tx)
    ]
    wrong += [
        f"transaction {r.transaction_id} notes {r.reversed} as taken back, the reversals took {r.sum}"
        for r in await reading.wrong_reversals(tx)
    ]
    wrong += [
        f"account {r.owner_id} owes {r.debt} {r.unit}, its entries say {r.sum}" for r in await reading.wrong_debts(tx)
    ]
    wrong += [f"lots of {r.owner_id} sum to {r.sum} {r.unit}, its balance is {r.balance}" for r in await wrong_lots(tx)]
    wrong += [
        f"account escrow of {r.community_id} has {r.balance} {r.unit}, open holds sum to {r.held}"
        for r in await wrong_escrows(tx)
    ]
    wrong += [
        f"balances of {unit} are {off} from adding up to 0"
        for unit, (off, _) in (await reading.books(tx)).items()
        if off
    ]
    return wrong
