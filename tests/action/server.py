"""Serves one release on a free port of loopback, well or badly, by the first part of the address; writes the port and each request to files."""

import http.server
import pathlib
import sys

room = pathlib.Path(sys.argv[1])
release = (room / "release").read_bytes()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with (room / "requests").open("a") as requests:
            requests.write(self.path + "\n")
        how = self.path.split("/")[1]
        if how == "elsewhere":
            self.send_response(302)
            self.send_header("Location", self.path.replace("elsewhere", "good"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        bodies = {
            "good": release,
            "cut": release[: len(release) // 2],
            "short": release[: len(release) // 2],
            "long": release + b"# more\n",
            "other": bytes(reversed(release)),
        }
        body = bodies.get(how)
        self.send_response(404 if body is None else 200)
        if how != "cut":
            self.send_header("Content-Length", str(len(body or b"")))
        else:
            self.send_header("Content-Length", str(len(release)))  # and then fewer bytes come
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
(room / "port.new").write_text(str(server.server_address[1]))
(room / "port.new").rename(room / "port")
server.serve_forever()
