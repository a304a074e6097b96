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
