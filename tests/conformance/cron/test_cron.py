"""Cron expressions beside croniter and `systemd-analyze calendar`: the same times, or a difference that stands below with its reason.

Where one of the two is not installed, that part is skipped and says so. CRON_TIMES names the program that answers for us; CRON_SEED repeats a
run.

Differences, which the expressions here avoid or the comparison knows:

- croniter takes a day of the month and a day of the week together as cron(8) does, and so do we; systemd wants both to match. Expressions
  that name both are not translated.
- croniter finds nothing where the day of the month comes in no month that is named, although the day of the week would do ("0 0 30 2 sat").
  We take the day of the week, as cron(8) does. Such are compared with croniter's answer without the day of the month.
- croniter misses the first days of a month after a shorter one than a day that is named ("0 0 1,31 * *" in February: it leaves out 1 March).
  Where days from 29 on are named and the times differ, ours are compared with a plain walk through every day.
- croniter knows L, #, ?, a sixth field and random values; we refuse them by name.
- croniter takes a range that ends before it begins as one that goes around (fri-mon); cron(8) does not, and neither do we.
- Where clocks change, croniter and systemd have rules of their own; ours are in common/cron.hpp. These comparisons are in UTC;
  ClockChanges compares ours with a plain walk through every minute, by Python's zoneinfo.
"""

import calendar
import datetime
import os
import random
import re
import shutil
import subprocess
import unittest
import zoneinfo

try:
    import croniter
except ImportError:
    croniter = None

PROGRAM = os.environ["CRON_TIMES"]
SEED = int(os.environ.get("CRON_SEED") or random.SystemRandom().randrange(1 << 32))
FIELDS = [(0, 59, None), (0, 23, None), (1, 31, None),
          (1, 12, "jan feb mar apr may jun jul aug sep oct nov dec".split()),
          (0, 7, "sun mon tue wed thu fri sat".split())]
UTC = datetime.timezone.utc


def ask(lines):
    """[(expression, zone, after, count)] to lists of times, or the error as a text."""
    text = "".join("\t".join(map(str, line)) + "\n" for line in lines)
    out = subprocess.run([PROGRAM], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line if line.startswith("error") else [int(word) for word in line.split()] for line in out]


def values(field, low, high, names=None):
    """What a field names."""
    found = set()
    for item in field.split(","):
        span, _, step = item.partition("/")
        first, dash, last = span.partition("-")
        number = lambda word: names.index(word) + low if names and word in names else int(word)
        if span == "*":
            first, last = low, high
        else:
            first = number(first)
            last = number(last) if dash else high if step else first
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def plainly(expression, after, count):
    """The times by looking at every day and minute."""
    minutes, hours, days, months, weekdays = [values(field, *FIELDS[i]) for i, field in enumerate(expression.split())]
    weekdays = {day % 7 for day in weekdays}
    both = len(days) < 31 and len(weekdays) < 7
    due = []
    day = after // 86400
    while len(due) < count:
        date = datetime.datetime.fromtimestamp(day * 86400, UTC)
        by_day, by_weekday = date.day in days, date.isoweekday() % 7 in weekdays
        if date.month in months and (by_day or by_weekday if both else by_day and by_weekday):
            due += [day * 86400 + hour * 3600 + minute * 60 for hour in sorted(hours) for minute in sorted(minutes)
                    if day * 86400 + hour * 3600 + minute * 60 > after]
        day += 1
    return due[:count]


def random_value(chance, low, high, names):
    value = chance.randint(low, high)
    if names and chance.random() < 0.3:
        return names[(value - low) % len(names)]
    return str(value)


def random_item(chance, low, high, names):
    form = chance.random()
    step = f"/{chance.randint(1, max(1, high // 2))}"
    if form < 0.15:
        return "*" + step
    if form < 0.4:
        first, last = sorted((chance.randint(low, high), chance.randint(low, high)))
        return f"{first}-{last}" + (step if chance.random() < 0.4 else "")
    return random_value(chance, low, high, names)


def random_field(chance, field):
    if chance.random() < 0.35:
        return "*"
    return ",".join(random_item(chance, *field) for _ in range(chance.choice([1, 1, 1, 2, 3])))


def random_expression(chance):
    return " ".join(random_field(chance, field) for field in FIELDS)


def random_time(chance):
    return chance.randrange(calendar.timegm((2000, 1, 1, 0, 0, 0)), calendar.timegm((2060, 1, 1, 0, 0, 0)))


class Croniter(unittest.TestCase):
    @unittest.skipUnless(croniter, "croniter is not installed (python3-croniter)")
    def test_ten_thousand_random_expressions(self):
        chance = random.Random(SEED)
        lines = [(random_expression(chance), "UTC", random_time(chance), 3) for _ in range(10_000)]
        never = gave_up = walked = 0
        for (expression, _, after, count), ours in zip(lines, ask(lines), strict=True):
            theirs = self.times(expression, after, count)
            if theirs is None and isinstance(ours, list):
                # It looks for the day that no month has, and never at the day of the week.
                minute, hour, _, month, weekday = expression.split()
                theirs = self.times(f"{minute} {hour} * {month} {weekday}", after, count)
                gave_up += 1
            if theirs is None:
                self.assertIn("no month that it names has such a day", ours, f"'{expression}', CRON_SEED={SEED}")
                never += 1
            elif ours != theirs and values(expression.split()[2], *FIELDS[2]) & {29, 30, 31}:
                self.assertEqual(ours, plainly(expression, after, count), f"'{expression}' after {after}, CRON_SEED={SEED}")
                walked += 1
            else:
                self.assertEqual(ours, theirs, f"'{expression}' after {after}, CRON_SEED={SEED}")
        print(f"10000 expressions as croniter has them: {never} never due, {gave_up} compared without their day of the month, "
              f"{walked} compared with a plain walk; CRON_SEED={SEED}")
        self.assertLess(walked, 200)

    def times(self, expression, after, count):
        iterator = croniter.croniter(expression, datetime.datetime.fromtimestamp(after, UTC), max_years_between_matches=12)
        try:
            return [int(iterator.get_next(float)) for _ in range(count)]
        except croniter.CroniterBadDateError:
            return None


def systemd_list(field, low, high, width=2):
    """A field of ours as systemd writes it: our steps and ranges written out, since systemd's begin elsewhere."""
    named = values(field, low, high)
    return "*" if len(named) == high - low + 1 else ",".join(f"{value:0{width}}" for value in sorted(named))


def translated(expression):
    minute, hour, day, month, weekday = expression.split()
    days = systemd_list(weekday, 0, 6, 1)
    names = "" if days == "*" else ",".join("Sun Mon Tue Wed Thu Fri Sat".split()[int(d)] for d in days.split(",")) + " "
    return (f"{names}*-{systemd_list(month, 1, 12)}-{systemd_list(day, 1, 31)} "
            f"{systemd_list(hour, 0, 23)}:{systemd_list(minute, 0, 59)}:00 UTC")


class Systemd(unittest.TestCase):
    def setUp(self):
        self.chance = random.Random(SEED)

    def expressions(self, count):
        """Those that both understand: no names, Sunday as 0, and one of the two day fields."""
        plain = [(low, 6 if high == 7 else high, None) for low, high, _ in FIELDS]
        while count:
            fields = [random_field(self.chance, field) for field in plain]
            fields[self.chance.choice([2, 4])] = "*"
            yield " ".join(fields)
            count -= 1

    @unittest.skipUnless(shutil.which("systemd-analyze"), "systemd-analyze is not installed (systemd)")
    def test_three_hundred_translated_expressions(self):
        base = calendar.timegm((2026, 11, 22, 0, 0, 0))
        lines = [(expression, "UTC", base, 3) for expression in self.expressions(300)]
        for (expression, _, _, count), ours in zip(lines, ask(lines), strict=True):
            line = ["systemd-analyze", "calendar", f"--iterations={count}", "--base-time=2026-11-22 00:00:00 UTC", translated(expression)]
            said = subprocess.run(line, capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC", "LC_ALL": "C"}).stdout
            found = re.findall(r"(?:Next elapse|Iteration #\d+|Iter\. #\d+): \w+ (\d+-\d+-\d+ \d+:\d+:\d+) UTC", said)
            theirs = [calendar.timegm(tuple(map(int, re.split(r"[- :]", time)))) for time in found]
            if "Next elapse: never" in said:
                self.assertIn("no month that it names has such a day", ours)
                continue
            self.assertEqual(ours, theirs, f"'{expression}', {line[-1]}, CRON_SEED={SEED}\n{said}")
        print(f"300 expressions as systemd-analyze has them; CRON_SEED={SEED}")


class ClockChanges(unittest.TestCase):
    """Against the rules of common/cron.hpp, by walking through every minute."""

    ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu", "Africa/Casablanca",
             "Pacific/Apia", "Europe/Dublin"]

    def walk(self, expression, zone, begin, end):
        minutes, hours = [values(field, *FIELDS[i]) for i, field in enumerate(expression.split()[:2])]
        hourly = len(hours) == 24
        seen, due = set(), []
        offset_before = zone.utcoffset(datetime.datetime.fromtimestamp(begin - 60, zone)).total_seconds()
        for time in range(begin, end, 60):
            local = datetime.datetime.fromtimestamp(time, zone)
            offset = local.utcoffset().total_seconds()
            jumped = range(int((time + offset_before) // 60), int((time + offset) // 60))
            offset_before = offset
            wall = int((time + offset) // 60)
            matches = wall % 60 in minutes and wall // 60 % 24 in hours
            skipped = any(m % 60 in minutes and m // 60 % 24 in hours for m in jumped) and not hourly
            if (matches and (hourly or wall not in seen)) or skipped:
                due.append(time)
            seen.add(wall)
        return due

    def test_every_change_of_some_years(self):
        chance = random.Random(SEED)
        for name in self.ZONES:
            zone = zoneinfo.ZoneInfo(name)
            for year in (2011, 2026, 2090):
                begin = calendar.timegm((year, 1, 1, 0, 0, 0))
                changes = [day for day in range(begin, begin + 365 * 86400, 86400)
                           if zone.utcoffset(datetime.datetime.fromtimestamp(day, zone))
                           != zone.utcoffset(datetime.datetime.fromtimestamp(day + 86400, zone))]
                for change in changes[:3]:
                    fields = [random_field(chance, (0, 59, None)), random_field(chance, (0, 4, None))]
                    for expression in (" ".join(fields) + " * * *", "30 2 * * *", "*/20 * * * *", "15 0-3 * * *"):
                        expected = self.walk(expression, zone, change - 86400, change + 3 * 86400)
                        ours = ask([(expression, name, change - 86400 - 1, len(expected))])[0]
                        self.assertEqual(ours, expected, f"'{expression}' in {name} around {change}, CRON_SEED={SEED}")


class Refused(unittest.TestCase):
    def test_what_is_wrong_is_named_with_what_is_accepted(self):
        for expression, words in {
            "": ["empty", "five fields", "every 90s"],
            "* * * *": ["4 words", "five fields"],
            "60 * * * *": ["minute '60'", "0 to 59"],
            "* 24 * * *": ["hour '24'", "0 to 23"],
            "* * 0 * *": ["day of the month '0'", "1 to 31"],
            "* * * foo *": ["month 'foo'", "jan to dec"],
            "* * * * 8": ["day of the week '8'", "sun to sat"],
            "5-1 * * * *": ["'5-1'", "ends before it begins"],
            "*/0 * * * *": ["'*/0'", "step"],
            "0 0 30 2 *": ["no month"],
            "0 0 31 4,6,9,11 *": ["no month"],
            "every 0s": ["every 90s", "at least 1s"],
            "every 5x": ["not an interval"],
            "@reboot": ["1 word", "@daily"],
            "1,,2 * * * *": ["minute ''"],
            "-1 * * * *": ["minute '-1'"],
        }.items():
            said = ask([(expression, "UTC", 0, 1)])[0]
            for word in words:
                self.assertIn(word, said, expression)

    def test_zones(self):
        for zone in ("Europe/Nowhere", "../etc/passwd", "/etc/passwd", "Europe", "zone.tab"):
            self.assertIn("accepted: a name of the tz database", ask([("@daily", zone, 0, 1)])[0], zone)


if __name__ == "__main__":
    unittest.main(verbosity=2)
