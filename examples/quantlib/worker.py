"""A worker that prices with QuantLib: python worker.py [PROCESSES]."""
import logging
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from fanfold.worker import Worker

from pricer import price

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else os.cpu_count()
    # QuantLib has one evaluation date for a process, so each process prices one task at a time.
    pool = ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn"))
    # Twice the slots: a process has the next task while the last one is reported.
    Worker(price, "quantlib", slots=2 * processes, executor=pool).main()
