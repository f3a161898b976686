"""A real HDFS for tests and benchmarks: one NameNode and one DataNode, each its own process. Shell.

The Maven jars lack the web pages that both servers insist on finding, so empty folders stand in for them.
"""

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from services.java import QUICK_START, JavaProcess, ServiceUnavailable, free_port, jars

LOG4J = """\
log4j.rootLogger=INFO,c
log4j.appender.c=org.apache.log4j.ConsoleAppender
log4j.appender.c.target=System.err
log4j.appender.c.layout=org.apache.log4j.PatternLayout
log4j.appender.c.layout.ConversionPattern=%d{ISO8601} %p %c{1}: %m%n
"""
NAMENODE = "org.apache.hadoop.hdfs.server.namenode.NameNode"
DATANODE = "org.apache.hadoop.hdfs.server.datanode.DataNode"


def _site(settings: dict[str, str]) -> str:
    rows = "\n".join(
        f"<property><name>{name}</name><value>{value}</value></property>" for name, value in settings.items()
    )
    return f"<configuration>\n{rows}\n</configuration>\n"


class Hdfs:
    """An HDFS in `folder`. The NameNode can be killed, paused and started again with the same data and port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rpc_port, self._http_port = free_port(), free_port()
        self._namenode: JavaProcess | None = None
        self._datanode: JavaProcess | None = None

    @property
    def url(self) -> str:
        return f"hdfs://127.0.0.1:{self._rpc_port}"

    @property
    def namenode(self) -> JavaProcess:
        assert self._namenode is not None, "start() comes first"
        return self._namenode

    @property
    def datanode(self) -> JavaProcess:
        assert self._datanode is not None, "start() comes first"
        return self._datanode

    def start(self) -> str:
        classpath = f"{self._write_settings('namenode')}:{jars('hdfs')}/*"
        if not (self._folder / "name" / "current").is_dir():
            command = ["java", QUICK_START, "-cp", classpath, NAMENODE, "-format", "-nonInteractive"]
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            if result.returncode != 0:
                raise ServiceUnavailable(f"HDFS could not format its NameNode: {result.stderr[-500:]}")
        self.start_namenode()
        (self._folder / "data").mkdir(exist_ok=True)
        (self._folder / "data").chmod(0o700)
        datanode_path = f"{self._write_settings('datanode')}:{jars('hdfs')}/*"
        self._datanode = JavaProcess(datanode_path, ["-Xmx256m", QUICK_START, DATANODE], self._folder / "datanode.log")
        self._datanode.wait_until(self._operational)
        return self.url

    def start_namenode(self) -> None:
        """Start, or start again, the NameNode; returns at once when the DataNode is still to come."""
        classpath = f"{self._write_settings('namenode')}:{jars('hdfs')}/*"
        self._namenode = JavaProcess(classpath, ["-Xmx256m", QUICK_START, NAMENODE], self._folder / "namenode.log")
        if self._datanode is not None:
            self._namenode.wait_until(self._operational)

    def stop(self) -> None:
        for process in (self._datanode, self._namenode):
            if process is not None:
                process.stop()

    def _operational(self) -> bool:
        query = f"http://127.0.0.1:{self._http_port}/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState"
        try:
            with urllib.request.urlopen(query, timeout=10) as answer:
                beans = json.load(answer)["beans"]
        except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError):
            return False
        return bool(beans) and beans[0]["NumLiveDataNodes"] == 1 and beans[0]["FSState"] == "Operational"

    def _write_settings(self, role: str) -> Path:
        folder = self._folder / f"conf-{role}"
        for page in ("hdfs", "datanode", "static", "logs"):
            (folder / "webapps" / page).mkdir(parents=True, exist_ok=True)
        (folder / "log4j.properties").write_text(LOG4J)
        core = {"fs.defaultFS": self.url, "hadoop.tmp.dir": str(self._folder / "tmp")}
        (folder / "core-site.xml").write_text(_site(core))
        site = {
            "dfs.replication": "1",
            "dfs.namenode.name.dir": f"file://{self._folder / 'name'}",
            "dfs.namenode.rpc-address": f"127.0.0.1:{self._rpc_port}",
            "dfs.namenode.http-address": f"127.0.0.1:{self._http_port}",
            "dfs.namenode.datanode.registration.ip-hostname-check": "false",
            "dfs.namenode.safemode.extension": "0",
            "dfs.namenode.safemode.min.datanodes": "1",
            "dfs.heartbeat.interval": "1s",
            "dfs.namenode.heartbeat.recheck-interval": "2000",
            "dfs.permissions.enabled": "false",
            "dfs.webhdfs.enabled": "true",
            "dfs.client.block.write.replace-datanode-on-failure.policy": "NEVER",
        }
        if role == "datanode":
            site |= {
                "dfs.datanode.data.dir": f"file://{self._folder / 'data'}",
                "dfs.datanode.address": "127.0.0.1:0",
                "dfs.datanode.http.address": "127.0.0.1:0",
                "dfs.datanode.ipc.address": "127.0.0.1:0",
            }
        (folder / "hdfs-site.xml").write_text(_site(site))
        return folder
