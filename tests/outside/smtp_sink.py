"""An SMTP server that accepts every mail and remembers it, with the time on the test clock."""

import email
import email.policy
import email.utils
import re
import socketserver
import threading


class Sink:
    """Mails in order of arrival: dictionaries with seq, t, to, subject, text, message_id, date, links."""

    def __init__(self, tick):
        self.tick = tick          # () -> (seq, t): one order for calls and mails
        self.mails = []
        self.strange = []
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 120
            disable_nagle_algorithm = True

            def handle(self):
                try:
                    sink.talk(self.rfile, self.wfile)
                except OSError:
                    pass

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def talk(self, rfile, wfile):
        def say(line):
            wfile.write(line.encode() + b"\r\n")
            wfile.flush()

        say("220 outside ESMTP")
        to = []
        while True:
            line = rfile.readline(4096)
            if not line:
                return
            text = line.decode("latin-1").strip()
            verb = text.upper()
            if verb.startswith("EHLO"):
                say("250-outside\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb.startswith("MAIL"):
                to = []
                say("250 ok")
            elif verb.startswith("RCPT"):
                found = re.search(r"<([^>]*)>", text)
                to.append(found.group(1) if found else text)
                say("250 ok")
            elif verb == "DATA":
                say("354 go on")
                raw = read_data(rfile)
                if raw is None:
                    return
                self.keep(to, raw)
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                return
            elif verb.split(" ")[0] in ("HELO", "NOOP", "RSET"):
                say("250 ok")
            else:
                say("502 unknown")

    def keep(self, to, raw):
        seq, t = self.tick()
        message = email.message_from_bytes(raw, policy=email.policy.default)
        parts = {part.get_content_type(): part.get_content() for part in message.walk() if part.get_content_maintype() == "text"}
        plain = parts.get("text/plain", "")
        date = message["Date"]
        if len(to) != 1:
            self.strange.append("mail with %d recipients: %s" % (len(to), message["Subject"]))
        self.mails.append({
            "seq": seq, "t": t, "to": to[0] if to else "", "subject": str(message["Subject"]), "text": plain,
            "html": parts.get("text/html", ""), "message_id": str(message["Message-ID"] or ""),
            "date": int(email.utils.parsedate_to_datetime(str(date)).timestamp()) if date else None,
            "links": re.findall(r"https?://[^\s<>\"')]+", plain),
        })


def read_data(rfile):
    """The mail up to its final dot; None where the sender went away before, for then it was not taken over."""
    lines = []
    while True:
        line = rfile.readline()
        if not line.endswith(b"\n"):
            return None
        if line in (b".\r\n", b".\n"):
            return b"".join(lines)
        lines.append(line[1:] if line.startswith(b"..") else line)
