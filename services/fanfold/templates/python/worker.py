"""Values the tasks of the type TASK-TYPE: python worker.py. README.md says how to run it."""
import logging
import re

from fanfold.worker import Never, worker  # and Again, to be tried again


@worker("TASK-TYPE", slots=8)
async def value(task):
    principal = re.search("<principal>([0-9.]+)</principal>", task.document)
    if not principal or "<amount/>" not in task.document:
        raise Never("there is no principal, or no amount to fill in", code="nothing-to-value")
    amount = 1.05 * float(principal[1])  # Your model goes here.
    return task.document.replace("<amount/>", f"<amount>{amount:.2f}</amount>")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    value.main()  # until SIGTERM
