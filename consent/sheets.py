"""Tables that people open in a spreadsheet."""

import csv
import io

FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take what begins so for a formula


def csv_line(*cells: object) -> str:
    """One line of CSV. What a spreadsheet would take for a formula gets an apostrophe: cells hold others' words."""
    buffer = io.StringIO()
    texts = [str(cell) for cell in cells]
    csv.writer(buffer).writerow(f"'{text}" if text.startswith(FORMULAS) else text for text in texts)
    return buffer.getvalue()
