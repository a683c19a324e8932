"""A worker that values with the Open Source Risk Engine: python worker.py [PROCESSES]."""
import logging
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from fanfold.worker import Worker

from valuer import value

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count()
    # ORE has one evaluation date and one log for a process, so each process values one task at a time.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    # Twice the slots: a process has the next task while the last one is reported.
    Worker(value, "ore", slots=2 * processes, executor=pool).main()
