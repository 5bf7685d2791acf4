"""Who counts as an adult where. Pure; no Django.

The table errs on the side of the higher age and holds only ages above 18; everywhere else 18 applies, also where
national law says less, because only adults of eighteen and more may take part. Collected in 2026 from the civil codes
as listed in https://en.wikipedia.org/wiki/Age_of_majority: Japan (2022), Taiwan (2023) and Albania are at 18, Algeria
and South Korea at 19, Thailand and New Zealand at 20; where a law was lowered lately or sources differ, the higher age
stands. Canada has 18 or 19 by province: 19. The ages of states of the USA differ too (19 in Alabama and Nebraska, 21
in Mississippi): signers declare that they are of age where they live, in the statement that is part of the evidence.
"""

import datetime

USUAL_AGE = 18
# Countries (ISO 3166-1 alpha-2) where people come of age later than at eighteen.
LATER_AGES = {
    "AE": 21, "BH": 21, "CA": 19, "CM": 21, "DZ": 19, "EG": 21, "GA": 21, "HN": 21, "ID": 21, "KR": 19, "KW": 21,
    "LS": 21, "MG": 21, "NZ": 20, "PR": 21, "SG": 21, "SZ": 21, "TD": 21, "TH": 20, "WS": 21, "ZM": 21,
}  # fmt: skip


def adult_age(country: str) -> int:
    """The age from which people in `country` (ISO 3166-1 alpha-2) may sign for themselves."""
    return LATER_AGES.get(country, USUAL_AGE)


def age_on(day: datetime.date, born: datetime.date) -> int:
    """Completed years of life on `day`; somebody born on 29 February has their birthday on 1 March in other years."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))


def is_adult(born: datetime.date, country: str, day: datetime.date) -> bool:
    """True if somebody born then has come of age in `country` on `day`."""
    return age_on(day, born) >= adult_age(country)
