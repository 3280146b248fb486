//! Calling out: the server connects to a channel that waits for it, and the call begins as any other.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use talkpath::ErrorKind;
use talkpath::audio::frame::SampleRate;
use talkpath::io::server::{Listen, Target};
use talkpath::session::{Certainty, EndReason};
use tungstenite::handshake::server::{Request, Response};

use crate::harness::{Channel, JSON, Kind, SLIN, Server, limited};

const ID: &str = "32966726-4388-456b-a333-fdf5dbecc60d";

/// A channel that waits to be connected to, as `Dial(WebSocket/INCOMING/…)` does.
fn incoming(kind: Kind) -> (SocketAddr, mpsc::Receiver<Channel>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let check = |request: &Request, mut response: Response| {
            assert_eq!(request.uri(), &*format!("/media/{ID}"));
            assert_eq!(request.headers()["authorization"], "Basic YWdlbnQ6c2VzYW1l");
            assert_eq!(request.headers()["sec-websocket-protocol"], "media");
            response.headers_mut().insert("sec-websocket-protocol", "media".parse().unwrap());
            Ok(response)
        };
        let mut channel = Channel::new(tungstenite::accept_hdr(limited(stream), check).unwrap(), kind);
        channel.start_as(ID);
        let _ = sender.send(channel);
    });
    (address, receiver)
}

fn connect(server: &Server, url: &str) -> u64 {
    server.server.connect(Target::resolve(url).unwrap()).unwrap()
}

fn wait_for_outcome(server: &mut Server) -> (u64, talkpath::Result<String>) {
    let (attempt, outcome) = server.wait_for("the outcome", |server| server.poll_outcome());
    (attempt, outcome.map(|id| id.to_string()))
}

#[test]
fn a_call_that_was_called_out_for_is_like_any_other() {
    for kind in [SLIN, JSON] {
        for mut server in [Server::without_listener(), Server::start(|_| {})] {
            let (address, channels) = incoming(kind);
            let attempt = connect(&server, &format!("ws://agent:sesame@{address}/media/{ID}"));
            let mut channel = channels.recv().unwrap();
            channel.send_audio(&[0; 320]);
            let mut call = channel.while_answering(|| server.wait_for_call());
            assert_eq!((call.id.to_string(), call.peer), (ID.to_owned(), address));
            let (decided, outcome) = wait_for_outcome(&mut server);
            assert_eq!((decided, outcome.unwrap()), (attempt, ID.to_owned()));
            call.agent.output.try_write(&[4_000; 3_200], SampleRate::HZ_8000, "hello", 0).unwrap();
            channel.read_until("the agent", Channel::has_sound);
            assert_eq!(call.agent.output.position().certainty, Certainty::Acked);
            call.agent.control.hangup(false);
            channel.read_to_end();
            assert_eq!((channel.commands.last().unwrap().as_str(), channel.closed), ("HANGUP", Some(1_000)));
            assert_eq!(server.wait_for_end(&mut call.agent), EndReason::AgentHangup);
        }
    }
}

#[test]
fn an_attempt_that_fails_says_why() {
    let mut server = Server::without_listener();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    connect(&server, &format!("ws://{nobody}/media/1"));
    let error = wait_for_outcome(&mut server).1.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("refused"), "{error}");

    for (answer, part) in [
        ("HTTP/1.1 404 Not Found\r\n\r\n", "status 404"),
        ("HTTP/1.1 409 Conflict\r\n\r\n", "status 409"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            "Sec-WebSocket-Accept",
        ),
        ("", "closed"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        connect(&server, &format!("ws://{}/media/1", listener.local_addr().unwrap()));
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1_024]).unwrap() > 0);
        stream.write_all(answer.as_bytes()).unwrap();
        drop(stream);
        let error = wait_for_outcome(&mut server).1.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn an_attempt_ends_with_its_time_and_with_the_server() {
    let mut server = Server::start(|config| config.handshake_timeout = std::time::Duration::from_millis(50));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/media/1", listener.local_addr().unwrap());
    connect(&server, &url);
    assert_eq!(wait_for_outcome(&mut server).1.unwrap_err().kind(), ErrorKind::Timeout);

    let mut server = Server::without_listener();
    connect(&server, &url);
    server.server.stop(std::time::Duration::ZERO);
    assert_eq!(wait_for_outcome(&mut server).1.unwrap_err().kind(), ErrorKind::SessionEnded);
    server.wait_for("the stop", |server| server.is_stopped().then_some(()));
}

#[test]
fn a_server_of_another_transport_makes_no_calls() {
    let server = Server::listen("audiosocket://127.0.0.1:0", |_| {});
    let target = Target::resolve("ws://127.0.0.1:9/media/1").unwrap();
    let error = server.server.connect(target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(Target::resolve("wss://127.0.0.1/").is_err());
    assert_eq!(Listen::Nowhere.to_string(), "nowhere");
}
