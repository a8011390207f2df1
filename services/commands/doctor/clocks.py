"""Whether clocks agree. Tokens allow for 60 s, a new signing key is published 30 s before it signs, and days are told
apart by the clock of whoever takes an event in."""

from datetime import timedelta

from services.commands.doctor.findings import Finding, failed, ok, warning

WARNING, FAILED = timedelta(seconds=2), timedelta(seconds=30)


def compared(other: str, ahead: timedelta, doubt: timedelta = timedelta()) -> Finding:
    """`ahead`: how far the other clock is ahead of ours, known to within `doubt` (half of the way there and back)."""
    apart = max(timedelta(), abs(ahead) - doubt)
    where = "ahead of" if ahead > timedelta() else "behind"
    found = f"{other} is {abs(ahead).total_seconds():.1f} s {where} this machine"
    do = "let every machine keep time with NTP or chrony, and see that it is in step (`timedatectl`)"
    if apart > FAILED:
        return failed("clock", f"{found}, more than {FAILED.total_seconds():g} s", do)
    return (
        warning("clock", f"{found}, more than {WARNING.total_seconds():g} s", do)
        if apart > WARNING
        else ok("clock", found)
    )
