//! A database restored from a backup beside streams that went on.

use coordinator::CoordinatorError;
use proto::ids::{Attempt, Generation};

use super::desk::{Desk, rows};
use super::{DAY, allocating, committed, published};

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_is_refused_until_its_incarnation_is_raised() {
    let mut desk = Desk::start().await;
    let before = allocating(&mut desk).await;
    coordinator::incarnation::check(desk.bus(), &desk.state)
        .await
        .expect("all of it was drawn here");
    // Work of after the backup lies in a stream; the sequence is back where it was.
    let after = Generation(before.0 + 3);
    desk.put_line(&format!("{after}-00000000000000aa")).await;
    let refused = coordinator::incarnation::check(desk.bus(), &desk.state).await.unwrap_err();
    assert!(matches!(refused, CoordinatorError::Ahead(_)) && !refused.is_transient());
    let said = refused.to_string();
    let words = ["APPORTION_LINE", &after.to_string(), "migrate --raise-incarnation"];
    assert!(words.iter().all(|word| said.contains(word)), "{said}");

    assert_eq!(desk.raise_incarnation().await, 1);
    coordinator::incarnation::check(desk.bus(), &desk.state).await.expect("nothing is ahead now");
    // What was out is done under its old number; what is drawn now cannot be mistaken for work of after the backup.
    desk.report(before, Attempt(1), &published(before, rows(before, Attempt(1), "10"))).await;
    desk.apply().await;
    assert_eq!(desk.flip(DAY, before).await, 1);
    desk.report(before, Attempt(1), &committed(before, true)).await;
    desk.apply().await;
    desk.gather_again().await;
    desk.sweep().await;
    let (now, _) = desk.task("gather").await;
    assert_eq!(now.incarnation(), 1);
    assert!(now > after);
    assert_eq!(desk.raise_incarnation().await, 2);
}
