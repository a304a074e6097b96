"""What an old Tuberry does with sessions, as its contract says: Fernet tokens over Telethon's StringSession.

Usage, with the secret in SESSION_SECRET:
  old_system.py connect <simulator> <user id>     signs in by QR code, prints the token
  old_system.py open <simulator> <token>          starts on a stored token: prints who it is
  old_system.py reply <simulator> <token> <to> <text>   the same, and writes to somebody
  old_system.py string <token>                    prints the StringSession in it
  old_system.py plain <simulator> <session>       opens a StringSession: prints who it is
Prints RESULT and one line.
"""

import asyncio
import base64
import hashlib
import json
import logging
import os
import sys
import urllib.request

from cryptography.fernet import Fernet
from telethon import TelegramClient
from telethon.crypto import AuthKey
from telethon.sessions import StringSession

logging.disable(logging.CRITICAL)
FERNET = Fernet(base64.urlsafe_b64encode(hashlib.sha256(os.environ["SESSION_SECRET"].encode()).digest()))


def call(base, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base.rstrip("/") + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read())


def client(session):
    return TelegramClient(session, 1, "hash", connection_retries=5, retry_delay=0.2)


async def connect(base, user):
    # The home of the simulator's people.
    where = next(dc for dc in call(base, "GET", "/control/config")["dcs"] if dc["id"] == 4)
    session = StringSession()
    session.set_dc(where["id"], where["host"], where["port"])
    key = call(base, "POST", "/control/auth-keys", {"dc_id": where["id"]})["auth_key"]
    session.auth_key = AuthKey(base64.b64decode(key))
    telegram = client(session)
    await telegram.connect()
    login = await telegram.qr_login()
    waiting = asyncio.create_task(login.wait(20))
    await asyncio.sleep(0.1)
    await asyncio.to_thread(call, base, "POST", f"/control/users/{user}/scan", {"url": login.url})
    await waiting
    saved = telegram.session.save()
    await telegram.disconnect()
    return FERNET.encrypt(saved.encode()).decode()


async def opened(session, *message):
    telegram = client(StringSession(session))
    await telegram.connect()
    me = await telegram.get_me()
    if message:
        await telegram.get_dialogs()
        await telegram.send_message(int(message[0]), message[1])
    await telegram.disconnect()
    return str(me.id if me else None)


def main(command, *arguments):
    if command == "connect":
        return asyncio.run(connect(arguments[0], arguments[1]))
    if command == "string":
        return FERNET.decrypt(arguments[0].encode()).decode()
    if command == "plain":
        return asyncio.run(opened(arguments[1]))
    return asyncio.run(opened(FERNET.decrypt(arguments[1].encode()).decode(), *arguments[2:]))


print("RESULT", main(*sys.argv[1:]), flush=True)
