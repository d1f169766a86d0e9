//! Places that are taken, and databases that are not fit.

use std::net::TcpListener;

use apportion::folder::DataFolder;
use apportion::servers::{EmbeddedPostgres, PostgresOptions};
use postgres::{Client, NoTls};
use proto::line::Measure;
use tests::program;
use tests::stand::Stand;
use tests::world;

use crate::{assert_says, refused};

fn stand(name: &str) -> Stand {
    let stand = Stand::new(name);
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", Measure::Billed));
    stand
}

#[test]
fn a_data_folder_in_use_names_who_uses_it() {
    let stand = stand("in-use");
    let _held = DataFolder::take(&stand.data()).unwrap();
    let said = refused(&stand, &[], &[]);
    let expected = format!(
        "error: data folder {} is in use by pid {}: stop that apportion first, or choose another folder with --data-dir",
        stand.data().canonicalize().unwrap().display(),
        std::process::id()
    );
    assert_says(&said, &[&expected]);
}

#[test]
fn a_port_in_use_names_the_option_to_change() {
    let stand = stand("port");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (server, option) in [("nats-server", "--nats-port"), ("Postgres", "--postgres-port")] {
        let said = refused(&stand, &[option, &port.to_string()], &[]);
        let expected = format!(
            "error: embedded {server}: port {port} on 127.0.0.1 is in use by another program: choose another with \
             {option}, or leave it out"
        );
        assert_says(&said, &[&expected]);
    }
}

#[test]
fn a_database_that_is_not_utf8_is_refused_with_the_statement_that_makes_a_fit_one() {
    let stand = stand("encoding");
    // The server's guard is the program, too.
    program::apportion();
    let folder = stand.data().with_file_name("postgres");
    let server = EmbeddedPostgres::start(&folder, PostgresOptions::default()).unwrap();
    let mut client = Client::connect(&server.url(), NoTls).unwrap();
    for (name, encoding) in [("bytes", "SQL_ASCII"), ("western", "LATIN1")] {
        let make =
            format!("create database {name} encoding '{encoding}' locale 'C' template template0");
        client.batch_execute(&make).unwrap();
        let said = refused(&stand, &[], &[("DATABASE_URL", &server.url_of(name))]);
        let expected = format!(
            "error: database {name} is not UTF8 but {encoding}: make another with `create database apportion encoding \
             'UTF8' locale 'C.UTF-8' template template0` and name it in DATABASE_URL"
        );
        assert_says(&said, &[&expected]);
    }
}
