"""What learners read, in their language: messages go through `gettext` here. There are no translations yet."""


def gettext(message: str) -> str:
    return message


def ngettext(one: str, many: str, count: int) -> str:
    return one if count == 1 else many
