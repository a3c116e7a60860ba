//! A name server of the test's own, on this machine: it has the records that the test gives it, and can be silent.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record,
        rdata::{CNAME, TXT},
    },
};
use tokio::{net::UdpSocket, task::JoinHandle};

/// Answers until it is dropped.
pub struct NameServer {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
    answering: JoinHandle<()>,
}

#[derive(Default)]
struct Zone {
    records: BTreeMap<Name, Vec<RData>>,
    fails: bool,
    /// Names at which it fails.
    broken: BTreeSet<Name>,
}

impl NameServer {
    pub async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let zone = Arc::<Mutex<Zone>>::default();
        let answering = tokio::spawn(answer(socket, zone.clone()));
        Self { address, zone, answering }
    }

    /// The settings of a server that asks it.
    pub fn settings(&self) -> String {
        format!("[outbound]\ndns_servers = [\"{}\"]\n", self.address)
    }

    /// A TXT record in one string, beside those that the name has.
    pub fn publish(&self, name: &str, text: &str) {
        self.publish_in_parts(name, &[text]);
    }

    /// A TXT record in several strings.
    pub fn publish_in_parts(&self, name: &str, parts: &[&str]) {
        self.add(name, RData::TXT(TXT::new(parts.iter().map(|part| (*part).to_owned()).collect())));
    }

    /// Another name, where the records stand.
    pub fn alias(&self, name: &str, target: &str) {
        self.add(name, RData::CNAME(CNAME(of(target))));
    }

    /// Takes away everything at a name.
    pub fn clear(&self, name: &str) {
        self.zone.lock().unwrap().records.remove(&of(name));
    }

    /// Whether it answers everything with SERVFAIL from now on.
    pub fn fail(&self, fails: bool) {
        self.zone.lock().unwrap().fails = fails;
    }

    /// Answers with SERVFAIL at a name from now on.
    pub fn fail_at(&self, name: &str) {
        self.zone.lock().unwrap().broken.insert(of(name));
    }

    fn add(&self, name: &str, data: RData) {
        self.zone.lock().unwrap().records.entry(of(name)).or_default().push(data);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

fn of(name: &str) -> Name {
    let mut name = Name::from_ascii(name).unwrap().to_lowercase();
    name.set_fqdn(true);
    name
}

async fn answer(socket: UdpSocket, zone: Arc<Mutex<Zone>>) {
    let mut buffer = [0; 4096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let asked = Message::from_vec(&buffer[..length]).unwrap();
        let response = zone.lock().unwrap().response(&asked);
        socket.send_to(&response.to_vec().unwrap(), from).await.unwrap();
    }
}

impl Zone {
    fn response(&self, asked: &Message) -> Message {
        let query = asked.queries[0].clone();
        let mut response = Message::response(asked.id, asked.op_code);
        response.add_query(query.clone());
        if self.fails || self.broken.contains(&query.name().to_lowercase()) {
            response.metadata.response_code = ResponseCode::ServFail;
            return response;
        }
        // Aliases are followed, as a server that asks others does.
        let mut name = query.name().to_lowercase();
        while let Some(found) = self.records.get(&name) {
            let owner = name.clone();
            response.add_answers(found.iter().map(|data| Record::from_rdata(owner.clone(), 300, data.clone())));
            match found.first() {
                Some(RData::CNAME(target)) => name = target.0.clone(),
                _ => return response,
            }
        }
        response.metadata.response_code = ResponseCode::NXDomain;
        response
    }
}
