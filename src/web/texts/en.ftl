# General
home = Home
skip = To the content
navigation = Sections
projects = Projects
dialogs = Dialogs
settings = Settings
jobs = Jobs
workers = Workers
outage = This page is not available yet
    .help = The database does not answer. Wait a little and reload the page.
not-found = Not found
    .help = There is no such page, or it belongs to somebody else.
no-tenant = The user belongs to no client
    .help = Ask the platform's administrator to assign your account to a client.
forbidden = Not allowed
    .help = This page is for owners and administrators.
form-expired = The page is out of date: reload it and try again.

# Signing in
sign-in = Sign in
sign-in-title = Sign in to the cabinet
sign-out = Sign out
email = E-mail
password = Password
wrong-password = Wrong e-mail or password
too-many-attempts = Too many attempts. Try again in { $seconds } s.
demo-owner = This is a demonstration. Sign in as:
change-password = Change password
old-password = Present password
new-password = New password
new-password-again = New password once more
wrong-old-password = The present password is wrong
passwords-differ = The new passwords differ
password-length = The new password needs { $least } characters at least
password-changed = Password changed. Your other sessions have ended.

# Projects
new-project = New project
no-projects = No projects yet
    .help = Create the first project, connect a bot and a working group, then add your employees' personal accounts.
bot = Managing bot
group = Working group
none = none
personal-accounts = Personal accounts
open-dialogs = Open dialogs
waiting-count = { $count ->
    [one] { $count } waits for an answer
   *[other] { $count } wait for an answer
}
health-good = everything works
health-no-bot = no bot
health-no-group = no working group
health-no-accounts = no accounts
health-bot-refused = the bot lacks rights
health-account-error = an account needs attention
health-account-trouble = something to note

# A project and its accounts
breadcrumbs = Path
project = Project
project-settings = Project settings
accounts-title = Personal Telegram accounts
add-account = Add a personal account
connect-needs-bot = Connect a bot to the project first: then accounts can be connected.
connect-needs-group = Choose the bot's working group first: then accounts can be connected.
open-settings = Open the settings
no-accounts = No accounts yet
    .help = Connect an employee's personal Telegram account by QR code: customers' messages will appear as topics of the working group.
username = Username
phone = Phone
telegram-id = Telegram ID
last-activity = Last active
not-yet = none yet
proxy = Proxy
account-active = connected
account-trouble = something to note
account-pending = connecting
account-error = sign in again
mirrors = Mirrored into the group
private-chats = Private chats
groups = Groups
channels = Channels
nothing = nothing
sign-in-again = Sign in again
rename = Rename
remove = Remove
rename-title = Name of the account
account-name = Name
rename-help = Seen in the cabinet and in the topics' titles only. Leave it empty to show the username or the phone number.
remove-title = Remove the account?
remove-dialogs = Dialogs and their messages stay in the cabinet and in the working group.
remove-replies = Replies that wait to be sent will fail: there is nobody left to deliver them.
remove-session = Tuberry's session ends in this account's Telegram. A new QR code connects it again.
remove-account = Remove the account
account-removed = Account removed
save = Save
saved = Saved
create = Create
cancel = Cancel
close = Close

# Signing in to an account
connect-account = Connect an account
qr-code = QR code to sign in
login-waiting = Getting a code…
login-ready = Scan the code with the employee's phone
login-scanned = Confirming…
login-password = Enter the account's cloud password
login-checking = Checking the password…
login-step-1 = Open Telegram on the employee's phone
login-step-2 = Telegram → Settings → Devices → Link Desktop Device
login-step-3 = Point the camera at the code; it renews itself
cloud-password = Cloud password (two-step verification)
password-hint = Hint:
confirm = Confirm
login-expired = Time is up: nobody has scanned the code.
login-lost = This login is not valid any more.
new-code = Get a new code
time-left = Time left
account-connected = Account connected

# Settings
project-name = Name
project-description = Description
bot-and-group = Bot and working group
free-bot = A bot that is connected already
connect-bot = Choose the bot
bot-token = Token of a new bot
    .help = Make a bot with @BotFather's /newbot and paste its token here. We check it with Telegram.
connect-new-bot = Connect the bot
bot-connected = Bot connected
take-bot = Take the bot from the project
bot-taken = Bot taken from the project
bot-rights = Telegram does not let the bot work in the group. See that it is an administrator who may manage topics and delete messages, then press “Check and save”.
group-help = Add { $bot } to a supergroup with topics and make it an administrator who may manage topics and delete messages: the group then appears in the list by itself.
group-choice = Choose a group
choose-group = Choose the group
check-group = Check and save
group-chosen = The group will do and is saved
