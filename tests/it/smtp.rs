//! A mail server for tests: takes what is sent by SMTP (RFC 5321), or refuses it as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use muniment::clients::mail::transport::MailServer;

/// A message that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub to: Vec<String>,
    pub from: String,
    pub subject: String,
    pub text: String,
    pub html: String,
}

impl Mail {
    /// The first URL in the plain part.
    pub(crate) fn link(&self) -> String {
        let mut words = self.text.split_whitespace();
        words
            .find(|word| word.starts_with("http"))
            .unwrap_or_else(|| panic!("no link in {}", self.text))
            .to_owned()
    }

    /// The code in the link.
    pub(crate) fn code(&self) -> String {
        let url = url::Url::parse(&self.link()).unwrap();
        let (_, code) = url.query_pairs().find(|(name, _)| name == "code").unwrap();
        code.into_owned()
    }
}

/// What to do with the next message.
#[derive(Clone, Debug)]
pub(crate) enum Mood {
    /// Answer the message with this line.
    Reply(&'static str),
}

/// A mail server and what it took.
#[derive(Clone)]
pub(crate) struct MailBox(Arc<Shared>);

struct Shared {
    port: u16,
    taken: Mutex<Vec<Mail>>,
    moods: Mutex<VecDeque<Mood>>,
    arrived: Notify,
}

impl MailBox {
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mailbox = Self(Arc::new(Shared {
            port: listener.local_addr().unwrap().port(),
            taken: Mutex::default(),
            moods: Mutex::default(),
            arrived: Notify::new(),
        }));
        let serving = mailbox.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mailbox = serving.clone();
                tokio::spawn(async move { mailbox.converse(stream).await });
            }
        });
        mailbox
    }

    pub(crate) fn server(&self) -> MailServer {
        MailServer {
            host: "127.0.0.1".to_owned(),
            port: self.0.port,
            credentials: None,
        }
    }

    /// The server, as settings name one.
    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.0.port)
    }

    /// What to do with the next messages, one after the other.
    pub(crate) fn next_moods(&self, moods: impl IntoIterator<Item = Mood>) {
        self.0.moods.lock().unwrap().extend(moods);
    }

    pub(crate) fn to(&self, address: &str) -> Vec<Mail> {
        let taken = self.0.taken.lock().unwrap();
        let mine = taken
            .iter()
            .filter(|mail| mail.to.iter().any(|to| to == address));
        mine.cloned().collect()
    }

    /// Waits for the `count`th message to the address.
    pub(crate) async fn nth(&self, address: &str, count: usize) -> Mail {
        let waiting = async {
            loop {
                let arrived = self.0.arrived.notified();
                if let Some(mail) = self.to(address).into_iter().nth(count - 1) {
                    return mail;
                }
                arrived.await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), waiting)
            .await
            .unwrap_or_else(|_| panic!("no mail came to {address}"))
    }

    pub(crate) async fn first(&self, address: &str) -> Mail {
        self.nth(address, 1).await
    }

    async fn converse(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut to = Vec::new();
        let mut line = String::new();
        let mut reply = "220 test ready";
        loop {
            let answer = format!("{reply}\r\n");
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            reply = match verb.as_str() {
                "EHLO" | "HELO" => "250 test",
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap();
                    to.push(address.to_owned());
                    "250 ok"
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    let Some(data) = read_data(&mut stream).await else {
                        return;
                    };
                    let mood = self.0.moods.lock().unwrap().pop_front();
                    match mood {
                        Some(Mood::Reply(line)) => line,
                        None => {
                            self.take(std::mem::take(&mut to), &data);
                            "250 taken"
                        }
                    }
                }
                "QUIT" => {
                    let _ = stream.write_all(b"221 bye\r\n").await;
                    return;
                }
                _ => "250 ok",
            };
        }
    }

    fn take(&self, to: Vec<String>, data: &[u8]) {
        let message = MessageParser::default().parse(data).unwrap();
        let from = message.from().unwrap().first().unwrap();
        let mail = Mail {
            to,
            from: format!(
                "{} <{}>",
                from.name().unwrap_or_default(),
                from.address().unwrap()
            ),
            subject: message.subject().unwrap().to_owned(),
            text: message.body_text(0).unwrap().into_owned(),
            html: message.body_html(0).unwrap().into_owned(),
        };
        self.0.taken.lock().unwrap().push(mail);
        self.0.arrived.notify_waiters();
    }
}

async fn read_data(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let mut line = Vec::new();
        if stream.read_until(b'\n', &mut line).await.ok()? == 0 {
            return None;
        }
        if line == b".\r\n" {
            return Some(data);
        }
        // Dots at the beginning of a line were doubled.
        let line = line.strip_prefix(b".").unwrap_or(&line);
        data.extend_from_slice(line);
    }
}
