"""Judges the simulated Bot API by a client that others wrote: aiogram 3 (https://docs.aiogram.dev).

Usage: aiogram_judge.py <http url of the simulator>

Prints one line per check and exits with 1 if any failed. It uses the control API to play the people, and aiogram for
everything that the bot does: both ways of getting updates, topics, messages, reactions, and the exceptions that aiogram
raises for Telegram's errors.
"""

import asyncio
import json
import logging
import sys
import time
import urllib.error
import urllib.request

from aiogram import Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramBadRequest,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramMigrateToChat,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import SendDice
from aiogram.types import ChatMemberUpdated, Message, MessageEntity, ReactionTypeEmoji, ReplyParameters
from aiogram.webhook.aiohttp_server import SimpleRequestHandler
from aiohttp import web

FAILED = 0


def report(name, problem=None):
    global FAILED
    FAILED += problem is not None
    print(f"{'FAIL' if problem else 'ok  '} {name}{': ' + problem if problem else ''}", flush=True)


def check(name, condition, detail=""):
    report(name, None if condition else f"does not hold {detail}")


async def refuses(name, call, exception, text=""):
    """The call must raise exactly this exception of aiogram, with this text in it."""
    try:
        await call
    except Exception as error:  # noqa: BLE001: the judge reports whatever it gets
        right = type(error) is exception and text in str(error)
        report(name, None if right else f"got {type(error).__name__}: {error}")
        return error
    report(name, "nothing was raised")
    return None


class Control:
    """The simulator's control API."""

    def __init__(self, base):
        self.base = base

    def _call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None

    async def __call__(self, method, path, body=None):
        return await asyncio.to_thread(self._call, method, path, body)


class Group:
    """A forum with its bot and two people, made by control calls."""

    def __init__(self, control):
        self.control = control

    async def make(self, name):
        self.name = f"{name}_{time.time_ns() % 10**12}_bot"
        self.owner = (await self.control("POST", "/control/users", {"first_name": "Olga"}))["id"]
        self.operator = (await self.control("POST", "/control/users", {"first_name": "Ivan", "last_name": "Petrov"}))["id"]
        made = await self.control("POST", "/control/bots", {"username": self.name})
        self.bot_id, self.token = made["id"], made["token"]
        forum = {"title": "Support", "bot_token": self.token, "members": [self.owner, self.operator]}
        self.chat = (await self.control("POST", "/control/forums", forum))["chat_id"]
        return self

    def bot(self, token=None):
        session = AiohttpSession(api=TelegramAPIServer.from_base(self.control.base))
        return Bot(token or self.token, session=session, default=DefaultBotProperties())

    async def says(self, thread, text, **more):
        body = {"from": self.operator, "text": text, **more}
        return (await self.control("POST", f"/control/forums/{self.chat}/topics/{thread}/messages", body))["id"]

    async def topic(self, thread):
        for topic in await self.control("GET", f"/control/forums/{self.chat}/topics"):
            if topic["thread_id"] == thread:
                return topic
        return None


class Inbox:
    """A dispatcher that keeps whatever it is given."""

    def __init__(self):
        self.messages, self.edited, self.members = [], [], []
        self.dispatcher = Dispatcher()

        @self.dispatcher.message()
        async def message(message: Message):
            self.messages.append(message)
            if message.text == "answer through the webhook":
                return message.answer("by return")
            return None

        @self.dispatcher.edited_message()
        async def edited(message: Message):
            self.edited.append(message)

        @self.dispatcher.my_chat_member()
        async def member(update: ChatMemberUpdated):
            self.members.append(update)

    async def until(self, condition, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if condition():
                return True
            await asyncio.sleep(0.02)
        return False

    def find(self, message_id):
        return next((m for m in self.messages if m.message_id == message_id), None)

    def service(self, field):
        return [m for m in self.messages if getattr(m, field) is not None]


async def judge_polling(control):
    group = await Group(control).make("polling")
    bot, inbox = group.bot(), Inbox()
    me = await bot.get_me()
    check("getMe names the bot", me.id == group.bot_id and me.is_bot and me.username == group.name)
    polling = asyncio.create_task(inbox.dispatcher.start_polling(bot, handle_signals=False, polling_timeout=5))
    try:
        added = await inbox.until(lambda: inbox.members)
        check("being made an administrator is an update", added and inbox.members[0].new_chat_member.status == "administrator")

        topic = await bot.create_forum_topic(group.chat, "🔴 Anna")
        thread = topic.message_thread_id
        await inbox.until(lambda: inbox.service("forum_topic_created"))
        created = inbox.service("forum_topic_created")
        check("a created topic leaves a service message with its id",
              created and created[0].message_id == thread and created[0].forum_topic_created.name == "🔴 Anna")

        text = "Hi 😀 /getid <b> & it's fine"
        number = await group.says(thread, text)
        check("an operator's message arrives by polling", await inbox.until(lambda: inbox.find(number)))
        message = inbox.find(number)
        if message:
            check("it carries text, thread and sender", message.text == text and message.message_thread_id == thread
                  and message.is_topic_message and message.from_user.first_name == "Ivan" and not message.from_user.is_bot)
            check("a command in it is found", any(e.type == "bot_command" and e.extract_from(text) == "/getid"
                                                  for e in message.entities or []))
            check("inside a topic it shows the topic's first message as answered",
                  message.reply_to_message and message.reply_to_message.forum_topic_created is not None)
        general = await group.says(1, "in general")
        await inbox.until(lambda: inbox.find(general))
        check("the general topic has no thread id", inbox.find(general) and inbox.find(general).message_thread_id is None)

        answer = await group.says(thread, "answering", reply_to=number)
        await inbox.until(lambda: inbox.find(answer))
        check("an answer carries the message that it answers", inbox.find(answer)
              and inbox.find(answer).reply_to_message.message_id == number)

        media = {"kind": "voice", "mime": "audio/ogg", "size": 1234, "duration": 7}
        voice = await group.says(thread, "listen", media=media)
        await inbox.until(lambda: inbox.find(voice))
        check("a voice message has a file, a duration and a caption", inbox.find(voice) and inbox.find(voice).voice
              and inbox.find(voice).voice.duration == 7 and inbox.find(voice).caption == "listen")
        for kind, field in [("photo", "photo"), ("document", "document"), ("video", "video"), ("sticker", "sticker"),
                            ("audio", "audio"), ("animation", "animation"), ("video_note", "video_note"),
                            ("contact", "contact"), ("location", "location"), ("poll", "poll")]:
            number = await group.says(thread, "", media={"kind": kind, "mime": "x/y", "size": 9, "name": "n"})
            await inbox.until(lambda: inbox.find(number))
            check(f"a {kind} is read by aiogram", inbox.find(number) and getattr(inbox.find(number), field))

        await control("PATCH", f"/control/forums/{group.chat}/messages/{answer}", {"text": "changed"})
        await inbox.until(lambda: inbox.edited)
        check("an edit is an update", inbox.edited and inbox.edited[0].text == "changed" and inbox.edited[0].edit_date)

        await judge_messages(group, bot, inbox, thread)
        await judge_topics(group, bot, inbox, thread)

        before = len(inbox.messages)
        own = await bot.send_message(group.chat, "from the bot", message_thread_id=topic.message_thread_id)
        await asyncio.sleep(0.3)
        check("the bot does not get its own messages", all(m.message_id != own.message_id for m in inbox.messages[before:]))
    finally:
        await inbox.dispatcher.stop_polling()
        await polling
    check("everything arrived once and in order",
          [m.message_id for m in inbox.messages] == sorted({m.message_id for m in inbox.messages}))
    await bot.session.close()


async def judge_messages(group, bot, inbox, thread):
    entities = [MessageEntity(type="bold", offset=3, length=4), MessageEntity(type="text_link", offset=8, length=4,
                                                                             url="https://example.org/")]
    sent = await bot.send_message(group.chat, "😀 bold link", message_thread_id=thread, entities=entities)
    check("entities are kept", [(e.type, e.offset, e.length, e.url) for e in sent.entities]
          == [("bold", 3, 4, None), ("text_link", 8, 4, "https://example.org/")])
    html = await bot.send_message(group.chat, "<b>😀 <i>x</i></b> &lt;b&gt; <a href='tg://user?id=%d'>who</a>" % group.operator,
                                  message_thread_id=thread, parse_mode="HTML")
    check("HTML becomes text and entities", html.text == "😀 x <b> who"
          and [(e.type, e.offset, e.length) for e in html.entities] == [("bold", 0, 4), ("italic", 3, 1), ("text_mention", 9, 3)])
    check("the bot's message says who and where", html.from_user.id == group.bot_id and html.from_user.is_bot
          and html.chat.id == group.chat and html.chat.is_forum and html.message_thread_id == thread)
    reply = await bot.send_message(group.chat, "reply", reply_parameters=ReplyParameters(message_id=sent.message_id))
    check("a reply finds its topic", reply.reply_to_message.message_id == sent.message_id and reply.message_thread_id == thread)
    edited = await bot.edit_message_text("edited", chat_id=group.chat, message_id=sent.message_id)
    check("an edit answers with the new text", edited.text == "edited" and edited.edit_date)
    check("a reaction is set", await bot.set_message_reaction(group.chat, reply.message_id, [ReactionTypeEmoji(emoji="👌")]))
    shown = {m["id"]: m for m in (await group.topic(thread))["messages"]}
    check("the control API shows it", shown[reply.message_id]["reactions"] == [{"from": group.bot_id, "emoji": "👌"}]
          and shown[sent.message_id]["text"] == "edited" and shown[sent.message_id]["edited"])
    check("a message is deleted", await bot.delete_message(group.chat, reply.message_id))
    shown = {m["id"] for m in (await group.topic(thread))["messages"]}
    check("and gone", reply.message_id not in shown and sent.message_id in shown)
    long = "<&\"' \u05e9\u05dc\u05d5\u05dd " + "я" * 4080
    check("4,096 characters pass unchanged", (await bot.send_message(group.chat, long[:4096], message_thread_id=thread)).text == long[:4096])

    bad = TelegramBadRequest
    send = bot.send_message
    await refuses("an empty text", send(group.chat, " \n"), bad, "message text is empty")
    await refuses("a long text", send(group.chat, "x" * 4097), bad, "message is too long")
    await refuses("bad markup", send(group.chat, "<b>x", parse_mode="HTML"), bad,
                  "can't parse entities: Can't find end tag corresponding to start tag")
    await refuses("an unknown tag", send(group.chat, "<x>y</x>", parse_mode="HTML"), bad, 'Unsupported start tag "x" at byte offset 0')
    await refuses("an unknown chat", send(-1009999999, "x"), bad, "chat not found")
    await refuses("an unknown thread", send(group.chat, "x", message_thread_id=999_999), bad, "message thread not found")
    await refuses("an answer to nothing", send(group.chat, "x", reply_parameters=ReplyParameters(message_id=999_999)), bad,
                  "message to be replied not found")
    lenient = ReplyParameters(message_id=999_999, allow_sending_without_reply=True)
    check("unless that is allowed", (await send(group.chat, "x", message_thread_id=thread, reply_parameters=lenient)).text == "x")
    edit = bot.edit_message_text
    await refuses("an edit that changes nothing", edit("edited", chat_id=group.chat, message_id=sent.message_id), bad,
                  "message is not modified")
    await refuses("an edit of nothing", edit("x", chat_id=group.chat, message_id=999_999), bad, "message to edit not found")
    foreign = next(m.message_id for m in inbox.messages if m.text)
    await refuses("an edit of another's message", edit("x", chat_id=group.chat, message_id=foreign), bad, "message can't be edited")
    await refuses("a deletion of nothing", bot.delete_message(group.chat, 999_999), bad, "message to delete not found")
    await refuses("an emoji that is no reaction", bot.set_message_reaction(group.chat, sent.message_id,
                  [ReactionTypeEmoji(emoji="✅")]), bad, "REACTION_INVALID")


async def judge_topics(group, bot, inbox, thread):
    check("a topic is renamed", await bot.edit_forum_topic(group.chat, thread, name="🟢 Anna"))
    await inbox.until(lambda: inbox.service("forum_topic_edited"))
    edited = inbox.service("forum_topic_edited")
    check("the bot gets the service message of its own renaming", edited and edited[0].forum_topic_edited.name == "🟢 Anna"
          and edited[0].from_user.id == group.bot_id and edited[0].message_thread_id == thread)
    check("and may delete it", edited and await bot.delete_message(group.chat, edited[0].message_id))
    check("then it is gone", all(s["id"] != edited[0].message_id for s in (await group.topic(thread))["service"]))
    bad = TelegramBadRequest
    await refuses("the same name", bot.edit_forum_topic(group.chat, thread, name="🟢 Anna"), bad, "TOPIC_NOT_MODIFIED")
    check("a topic is closed", await bot.close_forum_topic(group.chat, thread))
    check("the control API shows it closed", (await group.topic(thread))["closed"])
    await refuses("closing it twice", bot.close_forum_topic(group.chat, thread), bad, "TOPIC_NOT_MODIFIED")
    await refuses("a message into a closed topic", bot.send_message(group.chat, "x", message_thread_id=thread), bad, "TOPIC_CLOSED")
    check("a topic is reopened", await bot.reopen_forum_topic(group.chat, thread))
    await inbox.until(lambda: inbox.service("forum_topic_reopened"))
    check("both are updates", inbox.service("forum_topic_closed") and inbox.service("forum_topic_reopened"))
    other = (await bot.create_forum_topic(group.chat, "x" * 128)).message_thread_id
    await refuses("a name that is too long", bot.create_forum_topic(group.chat, "x" * 129), bad)
    await refuses("a name that is empty", bot.create_forum_topic(group.chat, " "), bad)
    check("a topic is deleted", await bot.delete_forum_topic(group.chat, other))
    check("and gone", await group.topic(other) is None)
    await refuses("a message into a deleted topic", bot.send_message(group.chat, "x", message_thread_id=other), bad,
                  "message thread not found")
    await refuses("renaming a deleted topic", bot.edit_forum_topic(group.chat, other, name="y"), bad, "TOPIC_DELETED")
    chat = await bot.get_chat(group.chat)
    check("getChat knows the forum", chat.title == "Support" and chat.is_forum and chat.type == "supergroup")
    admins = await bot.get_chat_administrators(group.chat)
    check("getChatAdministrators lists the owner and the bot", [(a.status, a.user.id) for a in admins]
          == [("creator", group.owner), ("administrator", group.bot_id)])
    me = await bot.get_chat_member(group.chat, group.bot_id)
    check("getChatMember shows the bot's rights", me.can_manage_topics and me.can_delete_messages)
    member = await bot.get_chat_member(group.chat, group.operator)
    check("getChatMember shows a person", member.status == "member" and member.user.last_name == "Petrov")


async def judge_webhook(control):
    group = await Group(control).make("webhook")
    bot, inbox, secret = group.bot(), Inbox(), "s3cret-token_1"
    refused = []

    @web.middleware
    async def count_refusals(request, handler):
        response = await handler(request)
        if response.status != 200:
            refused.append(response.status)
        return response

    app = web.Application(middlewares=[count_refusals])
    handler = SimpleRequestHandler(inbox.dispatcher, bot, handle_in_background=False, secret_token=secret)
    handler.register(app, path="/hook")
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}/hook"  # noqa: SLF001: aiohttp has no other way
    try:
        await bot.set_webhook(url, secret_token="wrong", max_connections=1)
        await inbox.until(lambda: refused)
        for _ in range(250):
            # The refusal may still be on its way back to the simulator.
            info = await bot.get_webhook_info()
            if info.last_error_message:
                break
            await asyncio.sleep(0.02)
        check("without the right secret the webhook refuses", refused and not inbox.members and info.pending_update_count == 1)
        check("the failure is told", info.last_error_message and "401" in info.last_error_message)
        await bot.set_webhook(url, secret_token=secret, max_connections=1)
        check("with the secret it gets what had waited", await inbox.until(lambda: inbox.members))
        info = await bot.get_webhook_info()
        check("getWebhookInfo shows the webhook", info.url == url and info.max_connections == 1)
        await refuses("getUpdates beside a webhook", bot.get_updates(), TelegramConflictError, "webhook is active")

        thread = (await bot.create_forum_topic(group.chat, "W")).message_thread_id
        numbers = [await group.says(thread, f"message {n}") for n in range(30)]
        await inbox.until(lambda: inbox.find(numbers[-1]))
        got = [m.message_id for m in inbox.messages if m.text]
        check("thirty messages come once each and in order", got == numbers, str(got))
        await group.says(thread, "answer through the webhook")
        for _ in range(200):
            texts = [m["text"] for m in (await group.topic(thread))["messages"]]
            if "by return" in texts:
                break
            await asyncio.sleep(0.02)
        check("a method in the webhook's answer is carried out", "by return" in texts)
        await bot.delete_webhook(drop_pending_updates=True)
        check("the webhook is gone", (await bot.get_webhook_info()).url == "")
        late = await group.says(thread, "late")
        updates = await bot.get_updates(timeout=5)
        check("then getUpdates works", [u.message.message_id for u in updates] == [late])
        check("until it is confirmed, an update comes again", len(await bot.get_updates()) == 1)
        check("a higher offset confirms it", await bot.get_updates(offset=updates[-1].update_id + 1) == [])
        waiting = asyncio.create_task(bot.get_updates(timeout=20))
        await asyncio.sleep(0.3)
        await bot.get_updates()
        begin = time.monotonic()
        await refuses("a second poller ends the first", waiting, TelegramConflictError, "terminated by other getUpdates request")
        check("at once", time.monotonic() - begin < 5)
        check("allowed_updates filters", await filters(group, bot, thread))
    finally:
        await runner.cleanup()
        await bot.session.close()


async def filters(group, bot, thread):
    await bot.get_updates(offset=-1, allowed_updates=["edited_message"])
    number = await group.says(thread, "unwanted")
    await group.control("PATCH", f"/control/forums/{group.chat}/messages/{number}", {"text": "wanted"})
    updates = await bot.get_updates(timeout=3)
    return updates and updates[-1].edited_message is not None and all(u.message is None or u.message.text != "unwanted" for u in updates)


async def judge_errors(control):
    group = await Group(control).make("errors")
    bot = group.bot()
    thread = (await bot.create_forum_topic(group.chat, "E")).message_thread_id

    async def send():
        return await bot.send_message(group.chat, "x", message_thread_id=thread)

    await refuses("an unknown method", bot(SendDice(chat_id=group.chat)), TelegramNotFound, "Not Found")
    stranger = group.bot(f"{group.bot_id}:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
    await refuses("a wrong token", stranger.get_me(), TelegramUnauthorizedError, "Unauthorized")
    await stranger.session.close()

    await control("POST", "/control/limits", {"bot_group_per_minute": 2})
    await send()
    await send()
    error = await refuses("too many messages", send(), TelegramRetryAfter, "retry after")
    check("with the true time to wait", error and 1 <= error.retry_after <= 60)
    await control("DELETE", "/control/limits")
    check("without the limit it passes again", (await send()).text == "x")

    await control("POST", "/control/faults", {"kind": "bot_error", "method": "bot.sendMessage", "status": 429, "retry_after": 7,
                                              "description": "Too Many Requests: retry after 7", "times": 1})
    error = await refuses("an armed 429", send(), TelegramRetryAfter)
    check("with its retry_after", error and error.retry_after == 7)
    await control("POST", "/control/faults", {"kind": "bot_error", "method": "bot.sendMessage", "status": 500,
                                              "description": "Internal Server Error", "times": 1})
    await refuses("an armed 500", send(), TelegramServerError)

    async def texts():
        return [m["text"] for m in (await group.topic(thread))["messages"]]

    before = len(await texts())
    await control("POST", "/control/faults", {"kind": "lose_answer", "method": "bot.sendMessage", "times": 1})
    await refuses("a lost answer", send(), TelegramNetworkError)
    check("but the message is there", len(await texts()) == before + 1)
    calls = await control("GET", "/control/bot-log?method=sendMessage")
    check("and the log says that its answer was lost", calls[-1]["lost"] and calls[-1]["params"]["text"] == "x")
    await control("POST", "/control/faults", {"kind": "delete_topic", "chat_id": group.chat, "thread_id": thread})
    await refuses("a topic deleted by somebody", send(), TelegramBadRequest, "message thread not found")

    await bot.get_updates(offset=-1)
    await control("POST", f"/control/forums/{group.chat}/bot", {"rights": {"can_manage_topics": False}})
    await refuses("no right to manage topics", bot.create_forum_topic(group.chat, "no"), TelegramBadRequest,
                  "not enough rights to manage topics")
    updates = [u.my_chat_member for u in await bot.get_updates(timeout=2) if u.my_chat_member]
    check("losing a right is an update", updates and not updates[-1].new_chat_member.can_manage_topics
          and updates[-1].old_chat_member.can_manage_topics)
    new = (await control("POST", f"/control/forums/{group.chat}/migrate"))["chat_id"]
    error = await refuses("a chat that moved", bot.send_message(group.chat, "x"), TelegramMigrateToChat)
    check("with its new id", error and error.migrate_to_chat_id == new)
    check("where it goes on", (await bot.send_message(new, "moved")).chat.id == new)
    await control("POST", f"/control/forums/{new}/bot", {"status": "kicked"})
    await refuses("a bot that was kicked", bot.send_message(new, "x"), TelegramForbiddenError, "bot was kicked from the supergroup chat")
    await bot.session.close()


class Short(logging.Formatter):
    """aiogram repeats whole answers when it cannot read them; one line tells enough."""

    def format(self, record):
        return super().format(record).replace("\n", " ")[:400]


async def main():
    log = logging.StreamHandler()
    log.setFormatter(Short("     %(name)s: %(message)s"))
    logging.getLogger("aiogram").addHandler(log)
    logging.getLogger("aiogram").setLevel(logging.ERROR)
    control = Control(sys.argv[1].rstrip("/"))
    await control("DELETE", "/control/faults")
    for judge in (judge_polling, judge_webhook, judge_errors):
        try:
            await judge(control)
        except Exception as error:  # noqa: BLE001: a judge that breaks is a failed check
            report(judge.__name__, f"{type(error).__name__}: {error}")
    print("all checks passed" if not FAILED else f"{FAILED} checks failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: aiogram_judge.py <http url of the simulator>")
    sys.exit(asyncio.run(main()))
