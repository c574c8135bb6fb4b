"""Write the generated pages of this folder: python docs/write.py"""

from pathlib import Path

from generators.commands import command_page
from generators.configuration import configuration_page
from generators.table_format import format_page

PAGES = {"format.md": format_page, "configuration.md": configuration_page, "cli.md": command_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (Path(__file__).parent / name).write_text(page(), encoding="utf-8")
