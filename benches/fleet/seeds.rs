//! People of the simulator, many at once.

use crate::support::stack::Stack;
use telegram_simulator::world::users::NewUser;

/// A customer for each of `count` accounts, by Telegram id.
pub fn customers(stack: &Stack, count: usize) -> Vec<i64> {
    let shared = stack.simulator.shared();
    let mut world = shared.lock();
    let mut add = |number| world.add_user(NewUser { first_name: format!("Клиент {number}"), ..NewUser::default() });
    (0..count).map(|number| add(number).expect("a user")).collect()
}
