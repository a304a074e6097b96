# Общее
home = На главную
skip = К содержанию
navigation = Разделы
projects = Проекты
dialogs = Диалоги
settings = Настройки
jobs = Задания
workers = Обработчики
outage = Страница пока недоступна
    .help = База данных не отвечает. Подождите немного и обновите страницу.
not-found = Не найдено
    .help = Такой страницы нет, или она принадлежит кому-то другому.
no-tenant = Пользователь не привязан к клиенту
    .help = Попросите администратора платформы привязать вашу учётную запись к клиенту.
forbidden = Недостаточно прав
    .help = Эта страница для владельцев и администраторов.
form-expired = Страница устарела: обновите её и повторите.

# Вход
sign-in = Войти
sign-in-title = Вход в кабинет
sign-out = Выйти
email = E-mail
password = Пароль
wrong-password = Неверный e-mail или пароль
too-many-attempts = Слишком много попыток. Повторите через { $seconds } с.
demo-owner = Это демонстрация. Войдите как:
change-password = Сменить пароль
old-password = Нынешний пароль
new-password = Новый пароль
new-password-again = Новый пароль ещё раз
wrong-old-password = Нынешний пароль неверен
passwords-differ = Новые пароли не совпадают
password-length = Новый пароль должен содержать не меньше { $least } символов
password-changed = Пароль изменён. Другие ваши сеансы завершены.

# Проекты
new-project = Новый проект
no-projects = Проектов пока нет
    .help = Создайте первый проект, подключите к нему бота и рабочую группу, затем добавьте личные аккаунты сотрудников.
bot = Управляющий бот
group = Рабочая группа
none = нет
personal-accounts = Личные аккаунты
open-dialogs = Открытые диалоги
waiting-count = { $count ->
    [one] { $count } ждёт ответа
   *[other] { $count } ждут ответа
}
health-good = всё работает
health-no-bot = нет бота
health-no-group = нет рабочей группы
health-no-accounts = нет аккаунтов
health-bot-refused = боту не хватает прав
health-account-error = аккаунт требует внимания
health-account-trouble = есть замечания

# Проект и аккаунты
breadcrumbs = Путь
project = Проект
project-settings = Настройки проекта
accounts-title = Личные Telegram-аккаунты
add-account = Добавить персональный аккаунт
connect-needs-bot = Чтобы подключать аккаунты, сначала подключите к проекту бота.
connect-needs-group = Чтобы подключать аккаунты, сначала выберите боту рабочую группу.
open-settings = Открыть настройки
no-accounts = Аккаунтов пока нет
    .help = Подключите личный Telegram-аккаунт сотрудника по QR-коду: сообщения клиентов появятся темами в рабочей группе.
username = Имя пользователя
phone = Телефон
telegram-id = Telegram ID
last-activity = Активность
not-yet = ещё не было
proxy = Прокси
account-active = на связи
account-trouble = есть замечание
account-pending = подключается
account-error = нужен вход
mirrors = Что попадает в группу
private-chats = Личные чаты
groups = Группы
channels = Каналы
nothing = ничего
sign-in-again = Войти снова
rename = Переименовать
remove = Удалить
rename-title = Название аккаунта
account-name = Название
rename-help = Видно только в кабинете и в названиях тем. Если оставить пустым, будет показано имя пользователя или телефон.
remove-title = Удалить аккаунт?
remove-dialogs = Диалоги и переписка останутся в кабинете и в рабочей группе.
remove-replies = Ответы, которые ещё не отправлены, уйдут в ошибку: доставить их будет некому.
remove-session = Сеанс Tuberry в Telegram этого аккаунта завершится. Подключить его снова можно по новому QR-коду.
remove-account = Удалить аккаунт
account-removed = Аккаунт удалён
save = Сохранить
saved = Сохранено
create = Создать
cancel = Отмена
close = Закрыть

# Вход в аккаунт
connect-account = Подключение аккаунта
qr-code = QR-код для входа
login-waiting = Получаем код…
login-ready = Отсканируйте код телефоном сотрудника
login-scanned = Подтверждаем вход…
login-password = Введите облачный пароль аккаунта
login-checking = Проверяем пароль…
login-step-1 = Откройте Telegram на телефоне сотрудника
login-step-2 = Telegram → Настройки → Устройства → Подключить устройство
login-step-3 = Наведите камеру на код; он обновляется сам
cloud-password = Облачный пароль (двухэтапная аутентификация)
password-hint = Подсказка:
confirm = Подтвердить
login-expired = Время вышло: код никто не отсканировал.
login-lost = Этот вход больше не действует.
new-code = Получить новый код
time-left = Осталось
account-connected = Аккаунт подключён

# Настройки
project-name = Название
project-description = Описание
bot-and-group = Бот и рабочая группа
free-bot = Уже подключённый бот
connect-bot = Выбрать бота
bot-token = Токен нового бота
    .help = Создайте бота у @BotFather командой /newbot и вставьте сюда его токен. Мы проверим его в Telegram.
connect-new-bot = Подключить бота
bot-connected = Бот подключён
take-bot = Отключить бота от проекта
bot-taken = Бот отключён
bot-rights = Telegram не даёт боту работать в группе. Проверьте, что он администратор с правами «Управление темами» и «Удаление сообщений», и нажмите «Проверить и сохранить».
group-help = Добавьте { $bot } в супергруппу с включёнными темами и назначьте администратором с правами «Управление темами» и «Удаление сообщений»: группа появится в списке сама.
group-choice = Выберите группу
choose-group = Выбрать группу
check-group = Проверить и сохранить
group-chosen = Группа подходит и сохранена
