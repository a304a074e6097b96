"""A producer as Tuberry's portal has it: appends elements to the list with the `redis` package. It reads payloads, one JSON object a line,
from a file, and writes on through failures of Redis, as the portal's caller does who presses the button again.

usage: producer.py REDIS_URL FILE PAUSE_IN_SECONDS
"""

import json
import sys
import time

import redis

LIST = "tuberry:personal:tasks"


def main() -> None:
    url, path, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])
    client = redis.Redis.from_url(url, decode_responses=True, socket_timeout=5)
    with open(path, encoding="utf-8") as lines:
        payloads = [json.loads(line) for line in lines]
    for payload in payloads:
        element = json.dumps({"type": "personal.send_message", "payload": payload}, ensure_ascii=False)
        while True:
            try:
                client.rpush(LIST, element)
                break
            except redis.RedisError as error:
                print(f"again: {error}", flush=True)
                time.sleep(0.2)
        time.sleep(pause)
    print(f"pushed {len(payloads)}", flush=True)


main()
