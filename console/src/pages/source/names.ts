// What the kinds of sources are called, and what the server says of each.

import { useQuery } from "@tanstack/react-query";
import { api, read } from "../../api/client";

export const titles: Record<string, string> = {
    postgresql: "PostgreSQL",
    mysql: "MySQL",
    mariadb: "MariaDB",
    mssql: "SQL Server",
    oracle: "Oracle",
    sqlite: "SQLite",
    cockroachdb: "CockroachDB",
    timescaledb: "TimescaleDB",
    clickhouse: "ClickHouse",
    trino: "Trino",
    mongodb: "MongoDB",
    cassandra: "Cassandra",
    redis: "Redis",
    dynamodb: "DynamoDB",
    elasticsearch: "Elasticsearch",
    opensearch: "OpenSearch",
    neo4j: "Neo4j",
    snowflake: "Snowflake",
    bigquery: "BigQuery",
    redshift: "Redshift",
    databricks: "Databricks",
    synapse: "Synapse",
    athena: "Athena",
    s3: "Amazon S3",
    gcs: "Google Cloud Storage",
    azure_blob: "Azure Blob Storage",
    minio: "MinIO",
    csv: "CSV",
    tsv: "TSV",
    excel: "Excel",
    json: "JSON",
    jsonl: "JSON Lines",
    parquet: "Parquet",
    avro: "Avro",
    kafka: "Kafka",
    kinesis: "Kinesis",
    rest_api: "REST API",
    graphql: "GraphQL",
};

export function useKinds() {
    return useQuery({
        queryKey: ["kinds"],
        staleTime: Number.POSITIVE_INFINITY,
        queryFn: () => read(api.GET("/api/v1/data-sources/types")),
    });
}

/** What a file was called when it came, of the path where it is kept: that has the moment and a random part behind the name. */
export const fileName = (path: string) =>
    (path.split("/").at(-1) ?? path).replace(/_\d{8}_\d{6}_[0-9a-f]{8}(?=\.|$)/, "");
