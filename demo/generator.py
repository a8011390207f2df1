"""A community that never was: activities as a bot would post them, drawn from one seed.

The same seed, members, days and end give the same events on one version of Python; nothing is promised across
versions. All names are made up here. How people behave is in `demo.parameters`, measured on real communities.
"""

import heapq
from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import accumulate, count
from math import exp, log
from random import Random
from typing import Any

from demo import parameters as p

Event = dict[str, Any]
PLATFORM = "demo"
DAY = 86_400


@dataclass(slots=True)
class Member:
    """A person: the share of days they are there, and (as a logarithm) how much they then say."""

    name: str
    arrives: int
    leaves: int
    presence: float
    talk: float
    checks_in: bool
    streak: int = 0


@dataclass(frozen=True, slots=True)
class Post:
    """Something said that others can answer, react to, or correct."""

    id: str
    author: Member
    group: str


@dataclass(order=True, slots=True)
class _Planned:
    when: int
    number: int
    act: Callable[[int], Event] = field(compare=False)


class Simulation(Iterator[Event]):
    """The events of one simulation, made as they are asked for."""

    def __init__(self, make: Callable[[], Iterator[Event]]) -> None:
        self._make = make
        self._events = make()

    def __next__(self) -> Event:
        return next(self._events)

    def __length_hint__(self) -> int:
        """How many events there are in all, for a progress bar: found by running the simulation once."""
        return sum(1 for _ in self._make())


def generate(seed: int, members: int, days: int, end: datetime) -> Simulation:
    """CloudEvents in the form of an activity, for the `days` before `end`, in the order in which they arrive.

    That is the order of `time`, but for the few an uneasy bot sends again: those come minutes later, unchanged.
    Days and hours are those of `end`'s zone. ValueError unless there is a person, a day, and a zone.
    """
    if members < 1 or days < 1:
        raise ValueError("a community needs at least one member and one day")
    if end.tzinfo is None:
        raise ValueError("the end needs a time zone")
    source = f"/simulated/{seed}-{members}-{days}-{_stamp(end)}"
    return Simulation(lambda: _Community(Random(seed), source, members, days, end).events())


def _stamp(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def pick(random: Random, weights: Mapping[Any, float]) -> Any:
    """One of the keys, as often as its weight says."""
    return random.choices(tuple(weights), tuple(weights.values()))[0]


class _Community:
    """The state of the simulation: who is there, what was said, what is about to happen."""

    def __init__(self, random: Random, source: str, members: int, days: int, end: datetime) -> None:
        self.random = random
        self.source = source
        self.zone: tzinfo = end.tzinfo or UTC
        self.end = int(end.timestamp())
        self.start = self.end - days * DAY
        self.first_day = datetime.fromtimestamp(self.start, self.zone).date()
        self.ids, self.planned_numbers = count(1), count()
        self.planned: list[_Planned] = []
        self.groups = {f"{PLATFORM}:{name}": weight for name, weight in p.GROUPS.items()}
        self.recent: dict[str, deque[Post]] = {group: deque(maxlen=20) for group in self.groups}
        self.around: list[Member] = []
        self.weights: list[float] = []
        old = max(1, round(members / (1 + p.NEWCOMERS_A_MONTH * days / 30)))
        self.members = [self._old_member(n) for n in range(1, old + 1)]
        self.members += [self._newcomer(n, days) for n in range(old + 1, members + 1)]
        self.bots = [f"{PLATFORM}:bot{n}" for n in range(1, 1 + max(1, round(members * p.BOTS_A_MEMBER)))]

    def _old_member(self, number: int) -> Member:
        return self._member(number, -1, self._lognormal(p.OLD_STAY_DAYS_LN), p.ACTIVE_DAYS_LN)

    def _newcomer(self, number: int, days: int) -> Member:
        stay = 0.0 if self.random.random() < p.ONLY_ONE_DAY else self._lognormal(p.STAY_DAYS_LN)
        return self._member(number, self.random.randrange(days), stay, p.NEW_ACTIVE_DAYS_LN)

    def _member(self, number: int, arrives: int, stay: float, active_days: tuple[float, float]) -> Member:
        active = min(30.0, max(1.0, self._lognormal(active_days)))
        talk = p.VOLUME_LN[0] + p.VOLUME_BY_PRESENCE * (log(active) - p.ACTIVE_DAYS_LN[0])
        return Member(
            name=f"{PLATFORM}:m{number:05d}",
            arrives=arrives,
            leaves=max(arrives, 0) + int(min(stay, 1e6)),
            presence=active / 30,
            talk=talk + self.random.gauss(0, p.VOLUME_LN[1]),
            checks_in=self.random.random() < p.CHECKERS,
        )

    def _lognormal(self, parameters: tuple[float, float]) -> float:
        return self.random.lognormvariate(*parameters)

    # What happens, in order of time

    def events(self) -> Iterator[Event]:
        day = 0
        while (midnight := self._midnight(self.first_day + timedelta(days=day))) < self.end:
            self._plan_day(day, midnight)
            tomorrow = self._midnight(self.first_day + timedelta(days=day + 1))
            while self.planned and self.planned[0].when < min(tomorrow, self.end):
                planned = heapq.heappop(self.planned)
                event = planned.act(planned.when)
                if self.random.random() < p.SENT_TWICE:
                    self._plan(planned.when + self.random.randint(5, 900), _again(event))
                yield event
            day += 1

    def _midnight(self, day: date) -> int:
        return int(datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp())

    def _plan(self, when: float, act: Callable[[int], Event]) -> None:
        if self.start <= when < self.end:
            heapq.heappush(self.planned, _Planned(int(when), next(self.planned_numbers), act))

    def _plan_day(self, day: int, midnight: int) -> None:
        """Draw who is there today and what they mean to do; consequences are drawn when it happens."""
        present = [member for member in self.members if member.arrives <= day <= member.leaves]
        self.around = [member for member in present if member.arrives < day]
        self.weights = list(accumulate(member.presence for member in self.around))
        weekday = p.WEEKDAYS[(self.first_day + timedelta(days=day)).weekday()]
        for member in present:
            arrived = midnight
            if member.arrives == day:
                arrived = max(midnight, self.start) + self._seconds(p.HOURS) * 3 // 4
                self._plan(arrived, self._join(member))
            if member.arrives == day or self.random.random() < member.presence * weekday:
                self._plan_messages(member, midnight, arrived)
            if member.checks_in:
                self._plan_checkin(member, midnight, arrived)

    def _plan_messages(self, member: Member, midnight: int, arrived: int) -> None:
        amount = max(1, round(exp(member.talk + self.random.gauss(0, p.VOLUME_BY_DAY_SD))))
        when = float(max(arrived + 60, midnight + self._seconds(p.HOURS)))
        for _ in range(min(amount, 500)):
            self._plan(when, self._ask(member) if self.random.random() < p.QUESTIONS else self._say(member))
            if self.random.random() < p.SAME_SITTING:
                when += 5 + 60 * self._lognormal(p.SITTING_GAP_LN)
            else:
                when = max(arrived + 60, midnight + self._seconds(p.HOURS))

    def _plan_checkin(self, member: Member, midnight: int, arrived: int) -> None:
        chance = p.CHECKIN_AFTER_STREAK[min(member.streak, len(p.CHECKIN_AFTER_STREAK) - 1)]
        if self.random.random() >= chance:
            member.streak = 0
            return
        member.streak += 1
        when = max(arrived + 120, midnight + self._seconds(p.CHECKIN_HOURS))
        self._plan(when, self._check_in(member))
        if self.random.random() < p.CHECKIN_TWICE:
            self._plan(when + 300, self._check_in(member))

    def _seconds(self, hours: tuple[int, ...]) -> int:
        return self.random.choices(range(24), hours)[0] * 3600 + self.random.randrange(3600)

    # Acts: each makes its event when its time comes, and plans what follows from it

    def _join(self, member: Member) -> Callable[[int], Event]:
        return lambda when: self._event("join", "member.joined", when, actor=member.name, scope="community")

    def _check_in(self, member: Member) -> Callable[[int], Event]:
        def act(when: int) -> Event:
            length = 10 + self._length()
            return self._event("checkin", "checkin.submitted", when, actor=member.name, length=length)

        return act

    def _say(self, member: Member) -> Callable[[int], Event]:
        def act(when: int) -> Event:
            post = self._post(member, pick(self.random, self.groups))
            more: Event = {"kind": "text", "length": self._length()}
            recent = self.recent[post.group]
            if recent and self.random.random() < p.REPLIES:
                more["reply_to"] = self.random.choice(recent).id
            if recent and self.random.random() < p.MENTIONS:
                more["mentions"] = [self.random.choice(recent).author.name]
            if self.random.random() < p.LINKS:
                more["has_link"] = True
            recent.append(post)
            self._plan_reactions(post, when)
            self._plan_edit(post, when, p.EDITED_MESSAGES, p.EDIT_MINUTES_LN)
            if self.random.random() < p.BOT_MESSAGES / (1 - p.BOT_MESSAGES):
                self._plan(when + self.random.randint(1, 5), self._bot_says(post))
            return self._posted("msg", "message.created", when, post, **more)

        return act

    def _bot_says(self, about: Post) -> Callable[[int], Event]:
        def act(when: int) -> Event:
            data = {"group": about.group, "reply_to": about.id, "length": self._length(), "kind": "text", "bot": True}
            number = next(self.ids)
            bot = self.random.choice(self.bots)
            return self._event("msg", "message.created", when, subject=str(number), number=number, actor=bot, **data)

        return act

    def _ask(self, member: Member) -> Callable[[int], Event]:
        def act(when: int) -> Event:
            question = self._post(member, pick(self.random, self.groups))
            answers = self.random.choices(range(len(p.ANSWERS)), p.ANSWERS)[0]
            accepted = self.random.randrange(answers) if answers and self.random.random() < p.ACCEPTED else None
            for n in range(answers):
                hours = self._lognormal(p.ANSWER_HOURS_LN)
                self._plan(when + 60 + hours * 3600, self._answer(question, is_best=n == accepted))
            self._plan_votes(question, when, p.VOTES_A_QUESTION)
            self._plan_edit(question, when, p.EDITED_POSTS, p.POST_EDIT_MINUTES_LN)
            return self._posted("ask", "question.asked", when, question, length=self._length())

        return act

    def _answer(self, question: Post, *, is_best: bool) -> Callable[[int], Event]:
        def act(when: int) -> Event:
            by_asker = self.random.random() < p.SELF_ANSWERS
            member = question.author if by_asker else self._somebody(but=question.author)
            answer = self._post(member, question.group)
            if is_best:
                later = when + 60 + self._lognormal(p.ACCEPT_HOURS_LN) * 3600
                self._plan(later, self._accept(question, answer))
            self._plan_votes(answer, when, p.VOTES_AN_ANSWER)
            self._plan_edit(answer, when, p.EDITED_POSTS, p.POST_EDIT_MINUTES_LN)
            more: Event = {"length": self._length(), "reply_to": question.id}
            if member is not question.author:
                more["author"] = question.author.name
            return self._posted("answer", "answer.posted", when, answer, **more)

        return act

    def _accept(self, question: Post, answer: Post) -> Callable[[int], Event]:
        def act(when: int) -> Event:
            return self._about("accept", "answer.accepted", when, answer, by=question.author, question=question.id)

        return act

    def _react(self, member: Member, post: Post, kind: str) -> Callable[[int], Event]:
        return lambda when: self._about("react", "reaction.added", when, post, by=member, kind=kind)

    def _edit(self, post: Post) -> Callable[[int], Event]:
        def act(when: int) -> Event:
            return self._about("edit", "message.edited", when, post, by=post.author, length=self._length())

        return act

    def _plan_reactions(self, post: Post, when: int) -> None:
        if self.random.random() >= p.REACTED_MESSAGES:
            return
        for _ in range(pick(self.random, p.REACTIONS)):
            own = self.random.random() < p.SELF_REACTIONS
            member = post.author if own else self._somebody(but=post.author)
            later = when + 1 + 60 * self._lognormal(p.REACTION_MINUTES_LN)
            self._plan(later, self._react(member, post, pick(self.random, p.REACTION_KINDS)))
            if self.random.random() < p.SECOND_REACTIONS:
                self._plan(later + 5, self._react(member, post, pick(self.random, p.REACTION_KINDS)))

    def _plan_votes(self, post: Post, when: int, mean: float) -> None:
        """As many votes as a geometric draw says, one a voter, and no more than a quarter of the members."""
        votes = int(self.random.expovariate(1 / mean) + 0.5)
        voters = {id(member): member for member in (self._somebody(but=post.author) for _ in range(votes))}
        for member in list(voters.values())[: 1 + len(self.around) // 4]:
            later = when + 30 + self._lognormal(p.VOTE_HOURS_LN) * 3600
            self._plan(later, self._react(member, post, pick(self.random, p.VOTE_KINDS)))

    def _plan_edit(self, post: Post, when: int, share: float, minutes: tuple[float, float]) -> None:
        if self.random.random() < share:
            self._plan(when + 5 + 60 * self._lognormal(minutes), self._edit(post))

    def _somebody(self, *, but: Member) -> Member:
        """One of those who were there yesterday, the busier the likelier; `but` when nobody else is found."""
        for _ in range(8 if self.around else 0):
            found = bisect(self.weights, self.random.random() * self.weights[-1])
            member = self.around[min(found, len(self.around) - 1)]
            if member is not but:
                return member
        return but

    # Events in the public form

    def _length(self) -> int:
        return max(1, round(self._lognormal(p.LENGTH_LN)))

    def _post(self, author: Member, group: str) -> Post:
        return Post(str(next(self.ids)), author, group)

    def _posted(self, prefix: str, type: str, when: int, post: Post, **data: Any) -> Event:
        data = {"actor": post.author.name, "group": post.group, **data}
        return self._event(prefix, type, when, subject=post.id, number=int(post.id), **data)

    def _about(self, prefix: str, type: str, when: int, post: Post, *, by: Member, **data: Any) -> Event:
        data = {"actor": by.name, "author": post.author.name, "group": post.group, **data}
        return self._event(prefix, type, when, subject=post.id, **data)

    def _event(
        self, prefix: str, type: str, when: int, *, subject: str | None = None, number: int | None = None, **data: Any
    ) -> Event:
        event: Event = {
            "specversion": "1.0",
            "id": f"{prefix}:{number or next(self.ids)}",
            "source": self.source,
            "type": type,
            "time": datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "datacontenttype": "application/json",
            "data": data,
        }
        if subject is not None:
            event["subject"] = subject
        return event


def _again(event: Event) -> Callable[[int], Event]:
    return lambda when: dict(event)
