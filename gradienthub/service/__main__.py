"""`python -m gradienthub.service`: the keeper's process."""

from .app import main

main()
