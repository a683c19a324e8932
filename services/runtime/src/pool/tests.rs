use super::*;
use std::sync::mpsc;

#[tokio::test]
async fn small_work_is_done_while_costly_work_holds_all_other_threads() {
    let pool = Pool::start().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let mut costly = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let (pool, released) = (pool.clone(), released.clone());
        costly.spawn(async move {
            let held = move || released.lock().unwrap().recv().unwrap();
            pool.run(Cost::Costly, held).await
        });
    }
    for number in 0..100 {
        assert_eq!(pool.run(Cost::Small, move || number).await, Ok(number));
    }
    for _ in 0..64 {
        release.send(()).unwrap();
    }
    while let Some(done) = costly.join_next().await {
        assert_eq!(done.unwrap(), Ok(()));
    }
    pool.end();
}

#[tokio::test]
async fn a_pool_that_has_ended_does_nothing_more() {
    let pool = Pool::start().unwrap();
    pool.end();
    assert_eq!(pool.run(Cost::Small, || 1).await, Err(Unfinished::Ended));
}

#[test]
fn costly_work_is_overtaken_only_so_often() {
    let mut queues = Queues::default();
    let (tell, told) = mpsc::channel();
    for number in 0..20 {
        let tell = tell.clone();
        queues
            .small
            .push_back(Box::new(move || tell.send(number).unwrap()));
    }
    queues
        .costly
        .push_back(Box::new(move || tell.send(100).unwrap()));
    while let Some(work) = queues.take(Takes::Both) {
        work();
    }
    let order: Vec<i32> = told.try_iter().collect();
    let at = order.iter().position(|number| *number == 100);
    assert_eq!(at, Some(SMALL_IN_A_ROW as usize));
    assert_eq!(order.len(), 21);
}

#[tokio::test]
async fn a_job_whose_caller_has_gone_never_starts() {
    let pool = Pool::start().unwrap();
    let (release, released) = mpsc::channel::<()>();
    let released = Arc::new(Mutex::new(released));
    let (tell, told) = mpsc::channel();
    let cores = std::thread::available_parallelism().unwrap().get();
    let threads = cores.saturating_sub(1).max(1);
    let (hold, mut holding) = tokio::sync::mpsc::unbounded_channel();
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..threads {
        let (pool, released, hold) = (pool.clone(), released.clone(), hold.clone());
        let wait = move || {
            hold.send(()).unwrap();
            released.lock().unwrap().recv().unwrap();
        };
        others.spawn(async move { pool.run(Cost::Costly, wait).await });
    }
    for _ in 0..threads {
        holding.recv().await.unwrap();
    }
    let waited_for = pool.run(Cost::Costly, move || tell.send(()).unwrap());
    // One poll puts the work into the queue; then its caller goes away.
    tokio::select! {
        biased;
        _ = waited_for => unreachable!("every thread is held"),
        () = tokio::task::yield_now() => {}
    }
    for _ in 0..threads {
        release.send(()).unwrap();
    }
    while let Some(done) = others.join_next().await {
        assert_eq!(done.unwrap(), Ok(()));
    }
    assert_eq!(pool.run(Cost::Costly, || 1).await, Ok(1));
    assert!(told.try_recv().is_err());
    pool.end();
}

#[tokio::test]
async fn work_that_panics_ends_alone() {
    let pool = Pool::start().unwrap();
    let panics = || -> u8 { panic!("a fault") };
    for _ in 0..8 {
        assert_eq!(
            pool.run(Cost::Costly, panics).await,
            Err(Unfinished::Panicked)
        );
    }
    assert_eq!(pool.run(Cost::Costly, || 1).await, Ok(1));
}
