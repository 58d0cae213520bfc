"""``python -m aligndet`` is the command ``aligndet``."""

import sys

from aligndet.cli.main import main
from aligndet.common.search_path import put_current_folder_last

if __name__ == "__main__":
    put_current_folder_last()
    sys.exit(main())
