//! Exchanges with the helper when things go wrong.

use super::*;

fn probe() -> Task {
    Task::Inspect { name: name("jdoe") }
}

#[tokio::test]
async fn connections_are_used_again() {
    let bench = bench([]);
    for _ in 0..20 {
        bench.backend.check().await.unwrap();
    }
    assert_eq!(bench.helper.asked().len(), 20);
    assert_eq!(bench.helper.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_helper_that_restarts_between_two_tasks_goes_unnoticed() {
    let bench = bench([answer(TaskDone::Inspected(None)), Act::HangUp]);
    bench.backend.check().await.unwrap();
    bench.backend.check().await.unwrap();
    assert_eq!(bench.helper.asked().len(), 3);
}

#[tokio::test]
async fn a_task_whose_connection_died_is_sent_once_more_and_not_for_ever() {
    let bench = bench([Act::HangUp, Act::HangUp, Act::HangUp]);
    let error = bench.backend.host.run(&probe()).await.unwrap_err();
    assert!(error.to_string().contains("closed the connection without an answer"), "{error}");
    assert_eq!(bench.helper.asked().len(), 2);
}

#[tokio::test]
async fn a_helper_that_comes_back_in_a_moment_is_waited_for() {
    let bench = bench([Act::HangUp]);
    let socket = bench.root.path().join("task.sock");
    let helper = Arc::clone(&bench.helper);
    let back = async {
        while helper.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        fs::remove_file(&socket).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::spawn(Arc::clone(&helper).serve(UnixListener::bind(&socket).unwrap()));
    };
    let task = probe();
    let (answer, ()) = tokio::join!(bench.backend.host.run(&task), back);
    answer.unwrap();
}

#[tokio::test]
async fn r02_a_server_under_another_uid_is_not_the_helper() {
    let mut bench = bench([]);
    bench.channel().trust_server(nix::unistd::getuid().as_raw() + 1);
    let error = bench.backend.check().await.unwrap_err();
    assert!(error.to_string().contains("and not as root"), "{error}");
    assert!(bench.helper.asked().is_empty());
}

#[tokio::test]
async fn r03_garbage_is_an_error_and_its_connection_is_not_used_again() {
    let bench = bench([Act::Garbage]);
    let error = bench.backend.check().await.unwrap_err();
    assert!(error.to_string().contains("does not speak our language"), "{error}");
    bench.backend.check().await.unwrap();
    assert_eq!(bench.helper.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn an_answer_to_another_question_is_an_error() {
    let bench = bench([answer(TaskDone::RolledBack)]);
    let error = bench.backend.check().await.unwrap_err();
    assert!(error.to_string().contains("`rolled_back`"), "{error}");
}

#[tokio::test]
async fn r04_a_silent_helper_is_given_up_at_the_deadline() {
    let mut bench = bench([Act::Silence]);
    bench.channel().limit_exchanges_to(Duration::from_millis(200));
    let begun = Instant::now();
    let error = bench.backend.check().await.unwrap_err();
    assert!(error.to_string().contains("gave no answer within 200ms"), "{error}");
    assert!(begun.elapsed() >= Duration::from_millis(200));
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn many_tasks_at_once_take_turns_on_few_connections() {
    let bench = bench([]);
    let backend = Arc::new(bench.backend);
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let backend = Arc::clone(&backend);
            tokio::spawn(async move { backend.check().await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(bench.helper.asked().len(), 64);
    assert!(bench.helper.connections.load(Ordering::Relaxed) <= 2);
}
