"""Real servers for the tests and benchmarks: Apache Kafka and Hadoop HDFS from Maven, on loopback and free ports."""
