//! An actix-web handler that sends the bytes of a file from memory: what Retrieve Data is measured beside. It prints its
//! address and answers until it is told to stop.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement, of a server that does nothing else")]

use std::env;
use std::fs;

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};

async fn send(body: Data<Bytes>) -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").body(Bytes::clone(&body))
}

fn main() {
    // `cargo bench` of everything runs it without a file.
    let Some(file) = env::args().nth(1).filter(|argument| argument != "--bench") else { return };
    let body = Data::new(Bytes::from(fs::read(file).unwrap()));
    actix_web::rt::System::new().block_on(async {
        let app = move || App::new().app_data(body.clone()).default_service(web::to(send));
        let server = HttpServer::new(app).bind(("127.0.0.1", 0)).unwrap();
        println!("{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}
