//! The stand-in: CQL's native protocol over its tables.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::statements::Select;
use super::tables::{Table, carts, events, system};
use cassandra_protocol::compression::Compression;
use cassandra_protocol::frame::message_auth_success::BodyReqAuthSuccess;
use cassandra_protocol::frame::message_authenticate::BodyResAuthenticate;
use cassandra_protocol::frame::message_error::{ErrorBody, ErrorType};
use cassandra_protocol::frame::message_request::RequestBody;
use cassandra_protocol::frame::message_result::{BodyResResultPrepared, ResResultBody};
use cassandra_protocol::frame::message_supported::BodyResSupported;
use cassandra_protocol::frame::{Direction, Envelope, Flags, Opcode, Serialize, Version};
use cassandra_protocol::types::{CBytes, CBytesShort};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Default)]
pub struct Server {
    pub tables: Arc<Vec<Table>>,
    /// Who may sign in; whoever comes where there is none.
    pub user: Option<(&'static str, &'static str)>,
    /// Besides those that it always has.
    pub more: Vec<Table>,
    pub statements: Arc<Mutex<Vec<String>>>,
    /// How many rows each page was to have.
    pub pages: Arc<Mutex<Vec<i32>>>,
    pub prepared: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start(mut self, peer: Option<[u8; 4]>) -> (u16, Self) {
        let view = Table { name: "events_by_name", rows: Vec::new(), ..events() };
        let tables = [vec![events(), carts(), view], self.more.clone()].concat();
        self.tables = Arc::new([system(&tables, peer), tables].concat());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        (port, self)
    }

    pub async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        loop {
            let mut message = vec![0; 9];
            stream.read_exact(&mut message).await?;
            let length = i32::from_be_bytes(message[5..9].try_into().unwrap()) as usize;
            message.resize(9 + length, 0);
            stream.read_exact(&mut message[9..]).await?;
            let request = Envelope::from_buffer(&message, Compression::None).unwrap().envelope;
            let (opcode, body) = self.answer(request.request_body().unwrap(), request.version);
            let answer = Envelope::new(
                request.version,
                Direction::Response,
                Flags::empty(),
                opcode,
                request.stream_id,
                body,
                None,
                vec![],
            );
            stream.write_all(&answer.encode_with(Compression::None).unwrap()).await?;
        }
    }

    pub fn answer(&self, request: RequestBody, version: Version) -> (Opcode, Vec<u8>) {
        let error = |ty, message: String| (Opcode::Error, ErrorBody { message, ty }.serialize_to_vec(version));
        let result = |result: ResResultBody| (Opcode::Result, result.serialize_to_vec(version));
        match request {
            RequestBody::Options(_) => {
                let data = HashMap::from([("CQL_VERSION".to_owned(), vec!["3.4.6".to_owned()])]);
                (Opcode::Supported, BodyResSupported { data }.serialize_to_vec(version))
            }
            RequestBody::Startup(_) if self.user.is_some() => {
                let data = "org.apache.cassandra.auth.PasswordAuthenticator".to_owned();
                (Opcode::Authenticate, BodyResAuthenticate { data }.serialize_to_vec(version))
            }
            RequestBody::Startup(_) | RequestBody::Register(_) => (Opcode::Ready, Vec::new()),
            RequestBody::AuthResponse(response) => {
                let (user, password) = self.user.unwrap();
                if response.data.as_slice() == Some(format!("\0{user}\0{password}").as_bytes()) {
                    let data = CBytes::new_null();
                    (Opcode::AuthSuccess, BodyReqAuthSuccess { data }.serialize_to_vec(version))
                } else {
                    error(ErrorType::Authentication, "secret of the server".to_owned())
                }
            }
            RequestBody::Query(query) => match Select::read(&query.query, &self.tables) {
                Ok(select) => result(select.answer(&query.query_params, version)),
                Err(reason) => error(ErrorType::Invalid, reason),
            },
            RequestBody::Prepare(prepare) => match Select::read(&prepare.query, &self.tables) {
                Ok(select) => {
                    let mut prepared = self.prepared.lock().unwrap();
                    // The id is of the text, on all connections.
                    let known = prepared.iter().position(|text| *text == prepare.query);
                    let id = known.unwrap_or_else(|| {
                        prepared.push(prepare.query.clone());
                        prepared.len() - 1
                    });
                    result(ResResultBody::Prepared(BodyResResultPrepared {
                        id: CBytesShort::new((id as u32).to_be_bytes().to_vec()),
                        result_metadata_id: None,
                        metadata: select.variables(&prepare.query),
                        result_metadata: select.metadata(None),
                    }))
                }
                Err(reason) => error(ErrorType::Invalid, reason),
            },
            RequestBody::Execute(execute) => {
                let id = u32::from_be_bytes(execute.id.into_bytes().unwrap().try_into().unwrap());
                let text = self.prepared.lock().unwrap()[id as usize].clone();
                let select = Select::read(&text, &self.tables).unwrap();
                if !select.table.keyspace.starts_with("system") {
                    let parameters = &execute.query_parameters;
                    self.pages.lock().unwrap().extend(parameters.page_size);
                    // A further page is no further statement.
                    if parameters.paging_state.is_none() {
                        self.statements.lock().unwrap().push(text);
                    }
                }
                result(select.answer(&execute.query_parameters, version))
            }
            other => panic!("{other:?}"),
        }
    }

    /// The statements since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.statements.lock().unwrap())
    }
}
