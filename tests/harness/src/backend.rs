//! The source of the servers for the tests: given ones, Docker, or processes of the test.

use std::env;

/// The source of the servers for the tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `TEST_NATS_URL` and `TEST_REDIS_URL` name them. The tests use them one after the other, and
    /// empty them.
    Given { nats: String, redis: String },
    /// `TEST_BACKEND=containers`: one container for each server, by testcontainers.
    Containers,
    /// Processes on free loopback ports.
    Own,
}

impl Backend {
    pub fn chosen() -> Self {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        match (
            set("TEST_NATS_URL"),
            set("TEST_REDIS_URL"),
            set("TEST_BACKEND"),
        ) {
            (Some(nats), Some(redis), _) => Self::Given { nats, redis },
            (None, None, Some(backend)) if backend == "containers" => Self::Containers,
            (None, None, Some(backend)) if backend != "own" => {
                panic!("TEST_BACKEND='{backend}': it must be own or containers")
            }
            (None, None, _) => Self::Own,
            _ => panic!("set both TEST_NATS_URL and TEST_REDIS_URL, or neither"),
        }
    }
}

/// Servers in Docker.
#[cfg(feature = "containers")]
pub mod containers {
    use testcontainers::core::{IntoContainerPort, WaitFor};
    use testcontainers::runners::AsyncRunner;
    use testcontainers::{ContainerAsync, GenericImage, ImageExt};

    /// Two containers, which are removed on drop.
    pub struct Containers {
        nats: ContainerAsync<GenericImage>,
        redis: ContainerAsync<GenericImage>,
    }

    impl Containers {
        pub async fn start() -> Self {
            let nats = GenericImage::new("nats", "2.15.1")
                .with_exposed_port(4222.tcp())
                .with_wait_for(WaitFor::message_on_stderr("Server is ready"))
                .with_cmd(["-js"]);
            let redis = GenericImage::new("redis", "7.0.15")
                .with_exposed_port(6379.tcp())
                .with_wait_for(WaitFor::message_on_stdout("Ready to accept connections"));
            let (nats, redis) = futures::join!(nats.start(), redis.start());
            let needs = "TEST_BACKEND=containers needs a Docker engine";
            Self {
                nats: nats.expect(needs),
                redis: redis.expect(needs),
            }
        }

        pub async fn urls(&self) -> (String, String) {
            let nats = self.nats.get_host_port_ipv4(4222).await.unwrap();
            let redis = self.redis.get_host_port_ipv4(6379).await.unwrap();
            (
                format!("nats://127.0.0.1:{nats}"),
                format!("redis://127.0.0.1:{redis}"),
            )
        }
    }
}
