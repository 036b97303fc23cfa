"""A process whose main thread fires and is interrupted by SIGINT at random moments: `python storm_child.py URL SEED N`.

Other threads fire besides. It ends with 0 and prints how many interrupts came and how many firings were begun.
"""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import sys
import threading
import time

from hookrow import HookEngine

BEFORE, AFTER, ON = "before_order_add", "after_registration", "on_subscription"
url, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
STILL = 60.0
"""Seconds without an interrupt, or for the end, after which it says where it stands: a busy machine is only slow."""
chance = random.Random(seed)
engine = HookEngine(url)
armed = threading.Event()
ended = threading.Event()
seen = begun = 0


def fire(number: int, who: str) -> None:
    """One firing of one of the kinds: in one commit or two, under a key or not."""
    event = (BEFORE, AFTER, BEFORE, ON)[number % 4]
    key = f"{who}-{number}" if number % 3 == 0 else None
    engine.fire(event, {"n": number, "who": who}, idempotency_key=key)


def beside(who: str) -> None:
    """Fire in another thread, which no signal interrupts."""
    number = 0
    while not ended.is_set():
        number += 1
        fire(number, who)
        time.sleep(0.02)


def strike() -> None:
    """Interrupt the main thread once it fires; now and then a second time, at once."""
    for _ in range(count):
        faulthandler.dump_traceback_later(STILL, exit=True)
        armed.wait()
        time.sleep(chance.random() ** 2 * 0.006)
        if not armed.is_set():
            armed.wait()
        armed.clear()
        os.kill(os.getpid(), signal.SIGINT)
        if chance.random() < 0.1:
            time.sleep(chance.random() * 0.001)
            os.kill(os.getpid(), signal.SIGINT)
    faulthandler.dump_traceback_later(STILL, exit=True)
    ended.set()


def main() -> None:
    """Fire until all interrupts have come; each is answered by firing on."""
    global seen, begun
    while not ended.is_set():
        try:
            while not ended.is_set():
                armed.set()
                begun += 1
                fire(begun, "main")
        except KeyboardInterrupt:
            seen += 1


threads = [threading.Thread(target=beside, args=(f"t{n}",), daemon=True) for n in range(2)]
striker = threading.Thread(target=strike, daemon=True)
for thread in (*threads, striker):
    thread.start()
while striker.is_alive():
    try:
        main()
        striker.join()
    except KeyboardInterrupt:  # a second one, in the loop itself
        seen += 1
for thread in threads:
    thread.join()
engine.close()
print(seen, begun, flush=True)
