"""Phrases with numbers, English to Chinese, made by rule: dates, times of day, prices, quantities.

Chinese is written as a careful speaker writes it. Two is 两 before a measure word, a unit or a leading 千 or 万, and 二
within numbers, before 十 and 百, and in dates. A gap inside a number is read 零, in a year 〇.
"""

from __future__ import annotations

import zlib
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

UNITS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ORDINALS = {
    **{"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"},
    **{"twelve": "twelfth", "twenty": "twentieth", "thirty": "thirtieth"},
}
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = {
    **{"monday": "星期一", "tuesday": "星期二", "wednesday": "星期三", "thursday": "星期四"},
    **{"friday": "星期五", "saturday": "星期六", "sunday": "星期日"},
}
DIGITS = "零一二三四五六七八九"

# What is counted: one of it, more of it, the measure word (or unit) that Chinese puts behind the number, the thing.
THINGS = (
    ("book", "books", "本", "书"),
    ("dictionary", "dictionaries", "本", "词典"),
    ("magazine", "magazines", "本", "杂志"),
    ("student", "students", "名", "学生"),
    ("teacher", "teachers", "名", "老师"),
    ("doctor", "doctors", "名", "医生"),
    ("soldier", "soldiers", "名", "士兵"),
    ("child", "children", "个", "孩子"),
    ("friend", "friends", "个", "朋友"),
    ("apple", "apples", "个", "苹果"),
    ("egg", "eggs", "个", "鸡蛋"),
    ("question", "questions", "个", "问题"),
    ("city", "cities", "个", "城市"),
    ("country", "countries", "个", "国家"),
    ("room", "rooms", "个", "房间"),
    ("cat", "cats", "只", "猫"),
    ("bird", "birds", "只", "鸟"),
    ("sheep", "sheep", "只", "羊"),
    ("chicken", "chickens", "只", "鸡"),
    ("fish", "fish", "条", "鱼"),
    ("snake", "snakes", "条", "蛇"),
    ("river", "rivers", "条", "河"),
    ("road", "roads", "条", "路"),
    ("skirt", "skirts", "条", "裙子"),
    ("pair of trousers", "pairs of trousers", "条", "裤子"),
    ("cow", "cows", "头", "牛"),
    ("pig", "pigs", "头", "猪"),
    ("elephant", "elephants", "头", "大象"),
    ("horse", "horses", "匹", "马"),
    ("car", "cars", "辆", "汽车"),
    ("bicycle", "bicycles", "辆", "自行车"),
    ("bus", "buses", "辆", "公共汽车"),
    ("ship", "ships", "艘", "船"),
    ("plane", "planes", "架", "飞机"),
    ("piano", "pianos", "架", "钢琴"),
    ("computer", "computers", "台", "电脑"),
    ("television", "televisions", "台", "电视机"),
    ("tree", "trees", "棵", "树"),
    ("flower", "flowers", "朵", "花"),
    ("chair", "chairs", "把", "椅子"),
    ("umbrella", "umbrellas", "把", "雨伞"),
    ("knife", "knives", "把", "刀"),
    ("key", "keys", "把", "钥匙"),
    ("table", "tables", "张", "桌子"),
    ("bed", "beds", "张", "床"),
    ("ticket", "tickets", "张", "票"),
    ("map", "maps", "张", "地图"),
    ("sheet of paper", "sheets of paper", "张", "纸"),
    ("letter", "letters", "封", "信"),
    ("pen", "pens", "支", "钢笔"),
    ("pencil", "pencils", "支", "铅笔"),
    ("shirt", "shirts", "件", "衬衫"),
    ("coat", "coats", "件", "大衣"),
    ("pair of shoes", "pairs of shoes", "双", "鞋"),
    ("pair of socks", "pairs of socks", "双", "袜子"),
    ("hat", "hats", "顶", "帽子"),
    ("mountain", "mountains", "座", "山"),
    ("bridge", "bridges", "座", "桥"),
    ("house", "houses", "座", "房子"),
    ("company", "companies", "家", "公司"),
    ("shop", "shops", "家", "商店"),
    ("hospital", "hospitals", "家", "医院"),
    ("school", "schools", "所", "学校"),
    ("cup of tea", "cups of tea", "杯", "茶"),
    ("cup of coffee", "cups of coffee", "杯", "咖啡"),
    ("bottle of water", "bottles of water", "瓶", "水"),
    ("bottle of beer", "bottles of beer", "瓶", "啤酒"),
    ("bowl of soup", "bowls of soup", "碗", "汤"),
    ("bag of flour", "bags of flour", "袋", "面粉"),
    ("slice of bread", "slices of bread", "片", "面包"),
    ("day", "days", "天", ""),
    ("year", "years", "年", ""),
    ("minute", "minutes", "分钟", ""),
    ("hour", "hours", "个", "小时"),
    ("week", "weeks", "个", "星期"),
    ("month", "months", "个", "月"),
)
# What is measured: the unit in both languages, what there is of it; these have halves too.
STUFF = (
    ("kilogram", "公斤", (("rice", "大米"), ("sugar", "糖"), ("beef", "牛肉"), ("fish", "鱼"), ("salt", "盐"))),
    ("ton", "吨", (("rice", "大米"), ("coal", "煤"), ("steel", "钢"), ("salt", "盐"))),
    ("litre", "升", (("milk", "牛奶"), ("water", "水"), ("oil", "油"))),
    ("metre", "米", (("cloth", "布"), ("rope", "绳子"))),
    ("kilometre", "公里", (("road", "路"),)),
)
# Parts of the day: the words, the hours that the clock shows then, and the Chinese for each.
PARTS = (
    ("in the early morning", dict.fromkeys((1, 2, 3, 4), "凌晨")),
    ("in the morning", {**dict.fromkeys((6, 7, 8), "早上"), **dict.fromkeys((9, 10, 11), "上午")}),
    ("in the afternoon", dict.fromkeys((1, 2, 3, 4, 5), "下午")),
    ("in the evening", dict.fromkeys((7, 8, 9, 10), "晚上")),
    ("", dict.fromkeys(range(1, 13), "")),
)
DAYS = {
    **{"": "", "today": "今天", "tomorrow": "明天", "yesterday": "昨天"},
    **{"the day after tomorrow": "后天", "the day before yesterday": "前天"},
    **{f"on {english}": chinese for english, chinese in WEEKDAYS.items()},
}
CURRENCIES = (
    ("dollar", "dollars", "美元", "cent", "cents", "美分"),
    ("euro", "euros", "欧元", "cent", "cents", "欧分"),
    ("pound", "pounds", "英镑", "penny", "pence", "便士"),
)


class Pair(NamedTuple):
    """A phrase in both languages, and its kind: date, time, price or quantity."""

    english: str
    chinese: str
    kind: str
    parts: tuple[str, ...]  # what is combined in it, as ("3", "march"); never in train and test both


@dataclass(frozen=True, eq=False)
class PairData:
    """Phrases in two languages, split into train and test so that no combination is in both."""

    train: list[Pair]
    test: list[Pair]
    source: str
    licence: str


@cache
def english_number(number: int) -> str:
    """0 to 99,999 in words: 1205 is "one thousand two hundred and five"."""
    if number < 20:
        return UNITS[number]
    if number < 100:
        tens, units = divmod(number, 10)
        return TENS[tens] + (f"-{UNITS[units]}" if units else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{UNITS[hundreds]} hundred" + (f" and {english_number(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    link = " and " if rest < 100 else " "
    return f"{english_number(thousands)} thousand" + (link + english_number(rest) if rest else "")


@cache
def english_ordinal(number: int) -> str:
    """1 to 31: 25 is "twenty-fifth"."""
    first, dash, last = english_number(number).rpartition("-")
    return first + dash + ORDINALS.get(last, f"{last}th")


@cache
def english_year(year: int) -> str:
    """1900 to 2099 as it is said: "nineteen oh five", "two thousand and five", "twenty ten"."""
    century, rest = divmod(year, 100)
    if century == 20 and rest < 10:
        return english_number(year)
    if rest == 0:
        return f"{english_number(century)} hundred"
    return f"{english_number(century)} {'oh ' if rest < 10 else ''}{english_number(rest)}"


@cache
def chinese_number(number: int) -> str:
    """0 to 99,999: 1205 is 一千二百零五, 15 is 十五, 2000 is 两千, and 2 is 二."""
    if number < 10:
        return DIGITS[number]
    words, rest = "", number
    for unit, name in ((10_000, "万"), (1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit, rest = divmod(rest, unit)
        if digit:
            two = digit == 2 and unit >= 1000 and not words
            words += ("两" if two else DIGITS[digit]) + name
        elif words and rest >= unit // 10 > 0 and not words.endswith("零"):
            words += "零"
    return words.removeprefix("一") if 10 <= number < 20 else words


@cache
def chinese_count(number: int) -> str:
    """A number before a measure word or a unit: 2 is 两, 12 is 十二."""
    return "两" if number == 2 else chinese_number(number)


@cache
def chinese_year(year: int) -> str:
    """Digit by digit: 2005 is 二〇〇五年."""
    return "".join(DIGITS[int(digit)] for digit in str(year)).replace("零", "〇") + "年"


def dates() -> Iterator[Pair]:
    """The combination is the day and the month; any year or weekday may stand with it."""
    for month, name in enumerate(MONTHS, start=1):
        for day in range(1, monthrange(2024, month)[1] + 1):
            parts = (str(day), name)
            chinese = f"{chinese_number(month)}月{chinese_number(day)}日"
            first, second = f"the {english_ordinal(day)} of {name}", f"{name} {english_ordinal(day)}"
            for english in (first, second):
                yield Pair(english, chinese, "date", parts)
                for weekday, word in WEEKDAYS.items():
                    yield Pair(f"{weekday} {english}", chinese + word, "date", parts)
                for year in range(1970, 2030):
                    if day <= monthrange(year, month)[1]:
                        yield Pair(f"{english} {english_year(year)}", chinese_year(year) + chinese, "date", parts)


def clock(hour: int, minute: int) -> Iterator[tuple[str, str]]:
    """The ways to say a time of a twelve-hour clock, each with its Chinese."""
    this, after = english_number(hour), english_number(hour % 12 + 1)
    oclock = f"{chinese_count(hour)}点"
    if minute == 0:
        yield f"{this} o'clock", oclock
        return
    minutes = f"{'零' if minute < 10 else ''}{chinese_number(minute)}分"
    yield f"{this} {'oh ' if minute < 10 else ''}{english_number(minute)}", oclock + minutes
    if minute in (15, 30, 45):
        words = {15: f"a quarter past {this}", 30: f"half past {this}", 45: f"a quarter to {after}"}
        yield words[minute], oclock + {15: "一刻", 30: "半", 45: "三刻"}[minute]
    elif minute % 5 == 0:
        early = minute < 30
        words_to = f"{english_number(minute if early else 60 - minute)} {'past' if early else 'to'}"
        yield f"{words_to} {this if early else after}", oclock + minutes


def times() -> Iterator[Pair]:
    """The combination is the hour and the minute; any part of the day and any day may stand with it."""
    for (part, hours), (day, day_word) in product(PARTS, DAYS.items()):
        for hour, minute in product(hours, range(60)):
            for phrase, chinese in clock(hour, minute):
                if " to " in phrase and part and hour % 12 + 1 not in hours:
                    continue  # ten to six in the evening: five is no evening hour
                english = " ".join(word for word in (day, "at" if day else "", phrase, part) if word)
                yield Pair(english, day_word + hours[hour] + chinese, "time", (str(hour), str(minute)))


def prices() -> Iterator[Pair]:
    """The combination is the whole amount: so many of the large unit, so many of the small one."""
    wholes = [*range(100), *range(100, 1000, 15), *range(1000, 20_000, 450)]
    for whole, small in product(wholes, range(100)):
        if whole == small == 0 or (whole > 20 and small % 5):
            continue
        for unit, units, word, cent, cents, cent_word in CURRENCIES:
            said = [
                f"{english_number(number)} {one if number == 1 else more}"
                for number, one, more in ((whole, unit, units), (small, cent, cents))
                if number
            ]
            chinese = f"{chinese_count(whole)}{word}" * bool(whole) + f"{chinese_count(small)}{cent_word}" * bool(small)
            if whole or word != "欧元":  # a cent by itself is a dollar's
                yield Pair(" and ".join(said), chinese, "price", (str(whole), str(small), word))
        if 0 < whole < 100 and small:
            # Of a yuan a tenth is a jiao, a hundredth a fen.
            jiao, fen = divmod(small, 10)
            rest = (f"{DIGITS[jiao]}角" if jiao else "零") + (f"{DIGITS[fen]}分" if fen else "")
            english = f"{english_number(whole)} yuan and {english_number(small)} fen"
            yield Pair(english, f"{chinese_count(whole)}元{rest}", "price", (str(whole), str(small), "元"))
        elif whole and not small:
            yield Pair(f"{english_number(whole)} yuan", f"{chinese_count(whole)}元", "price", (str(whole), "0", "元"))


def amounts() -> Iterator[Pair]:
    """The combination is the number and the thing. The word for one of a thing goes with no other number than one,
    so that such a phrase combines nothing."""
    numbers = [*range(1, 100), *range(100, 1000, 15), *range(1000, 20_000, 450)]
    counted = list(THINGS)
    for unit, word, contents in STUFF:
        for english, chinese in contents:
            counted.append((f"{unit} of {english}", f"{unit}s of {english}", word, chinese))
            yield Pair(
                f"half a {unit} of {english}", f"半{word}{chinese}", "quantity", ("half", f"{unit} of {english}")
            )
            for number in range(1, 11):
                half = f"{english_number(number)} and a half"
                parts = (half, f"{unit} of {english}")
                yield Pair(
                    f"{half} {unit}s of {english}", f"{chinese_count(number)}{word}半{chinese}", "quantity", parts
                )
    for (one, more, measure, thing), number in product(counted, numbers):
        english = f"{english_number(number)} {one if number == 1 else more}"
        combined = (str(number), one) if number > 1 else ()
        yield Pair(english, chinese_count(number) + measure + thing, "quantity", combined)


def quantities() -> PairData:
    """Phrases with numbers, English to Chinese, of four kinds: dates, times of day, prices, quantities.

    Made by rule, so that a small model can learn all of it: real language is richer.
    Held out for test is one combination in ten, chosen by a checksum: the third of march with every year and weekday,
    thirty-seven with books. Every word of a test phrase is in training phrases, in other combinations.
    """
    train, test = _phrases()
    return PairData(list(train), list(test), source="made by rule, for this course", licence="Apache-2.0")


@cache
def _phrases() -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    train: list[Pair] = []
    test: list[Pair] = []
    for phrases, share in ((dates, 8), (times, 4), (prices, 3), (amounts, 3)):
        for pair in phrases():
            if zlib.crc32(pair.english.encode()) % share:
                continue  # of so many phrases, one
            combination = " ".join((pair.kind, *pair.parts))
            held_out = bool(pair.parts) and zlib.crc32(combination.encode()) % 10 == 0
            (test if held_out else train).append(pair)
    return tuple(train), tuple(test)
