//! Callers that work while the server dies. They never treat a broken connection as an answer.

use coordinator::config::docker_host;
use engine::{Engine as _, Labels};
use engine_docker::DockerEngine;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::sleep;

use super::cases::Doing;
use crate::bounds::{PACE, within};
use crate::client::{Client, Work};
use crate::follow::{next, open};
use crate::history::AcceptedTask;
use crate::server::{Docker, Server};

pub(super) struct Caller {
    client: Client,
    session: String,
    server: Pid,
    engine: DockerEngine,
    docker: Docker,
    labels: Labels,
}

impl Caller {
    pub(super) fn of(server: &Server, session: &str) -> Self {
        Caller {
            client: server.client(),
            session: session.to_owned(),
            server: Pid::from_raw(server.process.id().cast_signed()),
            engine: DockerEngine::new(docker_host().unwrap()),
            docker: server.docker(),
            labels: server.labels(),
        }
    }

    /// Returns the tasks that the caller knows of, in the order in which they were accepted.
    pub(super) async fn run(self, doing: Doing) -> Vec<AcceptedTask> {
        if doing == Doing::Warm {
            self.until_one_is_warm().await;
        }
        let first = match doing {
            Doing::Post => Work::slow(&self.name("a"), 4),
            Doing::Abort | Doing::Reset => Work::slow(&self.name("a"), 40).or(&["aborted"]),
            Doing::Delete => Work::slow(&self.name("a"), 40).or(&["deleted"]),
            Doing::Lose => Work::slow(&self.name("a"), 20).with(json!({ "retry": 1 })),
            Doing::Rest | Doing::Again => Work::slow(&self.name("a"), 2),
            Doing::Warm => Work::slow(&self.name("a"), 4),
            Doing::Finish | Doing::HandOff => Work::slow(&self.name("a"), 20),
        };
        let mut accepted = vec![self.client.accept(&self.session, &first).await];
        match doing {
            // The caller of the second task waits for the answer.
            Doing::Post => {
                let work = Work::tool(&self.name("b"));
                let answer = self.client.answer(&self.session, &work, &self.name("key")).await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                accepted.push(work.accepted(&self.session, &answer));
            }
            Doing::Abort => {
                self.until_it_speaks().await;
                self.client.post(&format!("/task/{}/abort", self.session)).await;
            }
            Doing::Reset => {
                self.until_it_speaks().await;
                let answer = self.client.post(&format!("/session/{}/reset", self.session)).await;
                assert_eq!(answer.body["reset"], true, "{}", answer.body);
            }
            Doing::Delete => {
                self.until_it_speaks().await;
                self.client.delete(&self.session).await;
                assert_eq!(self.client.status_of(&format!("/session/{}", self.session)).await, Some(404));
            }
            Doing::Lose => {
                self.until_it_speaks().await;
                for container in self.engine.list_containers(&self.labels).await.unwrap() {
                    self.docker.run(&["kill", container.id.as_str()]).await;
                }
            }
            Doing::Again => {
                self.client.ended(&accepted[0].task).await;
                accepted.push(self.client.accept(&self.session, &Work::slow(&self.name("b"), 4)).await);
            }
            Doing::Rest | Doing::Warm => {}
            Doing::Finish | Doing::HandOff => {
                // The second task waits until the next start.
                accepted.push(self.client.accept(&self.session, &Work::slow(&self.name("b"), 2)).await);
                self.until_it_speaks().await;
                kill(self.server, Signal::SIGTERM).unwrap();
            }
        }
        accepted
    }

    fn name(&self, suffix: &str) -> String {
        format!("{}{suffix}", self.session)
    }

    async fn until_one_is_warm(&self) {
        let warm = async {
            while self.client.get("/health").await["sandboxes"]["warm"] != 1 {
                sleep(PACE).await;
            }
        };
        within("a warm sandbox is ready", warm).await;
    }

    async fn until_it_speaks(&self) {
        let spoken = async {
            loop {
                if let Some((mut socket, _)) = open(&self.client, &self.session, 0).await {
                    while let Some(event) = next(&mut socket).await {
                        if event["type"] == "text" {
                            return;
                        }
                    }
                }
                sleep(PACE).await;
            }
        };
        within("the agent speaks", spoken).await;
    }
}
