"""A mail server on 127.0.0.1 that puts each mail into a folder, with what it knew of the sender.

usage: mail_server.py PORT FOLDER [--starttls CERT KEY | --tls CERT KEY] [--login NAME PASSWORD]
                      [--refuse TEXT]
"""

import argparse
import asyncio
import json
import pathlib
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

parser = argparse.ArgumentParser()
parser.add_argument("port", type=int)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--starttls", nargs=2)
parser.add_argument("--tls", nargs=2)
parser.add_argument("--login", nargs=2)
parser.add_argument("--refuse")
wishes = parser.parse_args()


class Folder:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if wishes.refuse:
            return wishes.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        number = len(list(wishes.folder.glob("*.eml")))
        about = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None or wishes.tls is not None,
            "login": bool(session.authenticated),
        }
        (wishes.folder / f"{number}.json").write_text(json.dumps(about))
        part = wishes.folder / f"{number}.part"
        part.write_bytes(envelope.content)
        part.rename(wishes.folder / f"{number}.eml")
        return f"250 taken as number {number}"


def authenticate(server, session, envelope, mechanism, data):
    good = isinstance(data, LoginPassword) and wishes.login == [
        data.login.decode(),
        data.password.decode(),
    ]
    return AuthResult(success=good, handled=good)


def context(files):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*files)
    return tls


def conversation():
    options = {}
    if wishes.login:
        options = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    if wishes.starttls:
        options["tls_context"] = context(wishes.starttls)
    return SMTP(Folder(), hostname="mail.test", **options)


async def main():
    tls = context(wishes.tls) if wishes.tls else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(conversation, "127.0.0.1", wishes.port, ssl=tls)
    await server.serve_forever()


asyncio.run(main())
