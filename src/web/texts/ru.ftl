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
