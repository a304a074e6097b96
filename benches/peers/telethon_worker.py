"""Telethon at a worker's job, for `make bench-fleet`: mirrors what customers write into topics. One plain process, nothing stored.

Usage: telethon_worker.py <http url of a running simulator> <bot token> <forum> <file of StringSessions, one a line> <how many at first>
SIGUSR1 connects the rest.
"""

import asyncio
import signal
import sys

import aiohttp
from telethon import TelegramClient, events
from telethon.sessions import StringSession

BASE, TOKEN, FORUM = sys.argv[1], sys.argv[2], int(sys.argv[3])
SESSIONS = [line.strip() for line in open(sys.argv[4], encoding="ascii")]
FIRST = int(sys.argv[5])


class Mirror:
    """One account: its client, and the topics of its customers."""

    def __init__(self, http, session):
        self.http, self.topics, self.names = http, {}, {}
        # One update after the other: messages of a dialog must stay in order.
        self.client = TelegramClient(StringSession(session), 1, "hash", sequential_updates=True)
        self.client.add_event_handler(self.on_message, events.NewMessage(incoming=True))

    async def start(self):
        await self.client.connect()
        await self.client.get_me()

    async def bot(self, method, **parameters):
        async with self.http.post(f"{BASE}/bot{TOKEN}/{method}", json=parameters) as response:
            answer = await response.json()
        if not answer["ok"]:
            raise RuntimeError(f"{method}: {answer}")
        return answer["result"]

    async def on_message(self, event):
        customer = event.chat_id
        if customer not in self.topics:
            self.names[customer] = (await event.get_sender()).first_name
            topic = await self.bot("createForumTopic", chat_id=FORUM, name=self.names[customer])
            self.topics[customer] = topic["message_thread_id"]
        text = f"💬 {self.names[customer]}: {event.raw_text}"
        await self.bot("sendMessage", chat_id=FORUM, message_thread_id=self.topics[customer], text=text)


async def main():
    async with aiohttp.ClientSession() as http:
        rest = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, rest.set)
        mirrors = [Mirror(http, session) for session in SESSIONS[:FIRST]]
        await asyncio.gather(*(mirror.start() for mirror in mirrors))
        await rest.wait()
        for session in SESSIONS[FIRST:]:
            mirrors.append(Mirror(http, session))
            await mirrors[-1].start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
