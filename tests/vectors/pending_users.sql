-- A database of waiting requests as feudalAdapter 2.0.4 wrote it: ann and bob wait, cleo's mail had
-- failed, dan was rejected, fay has an account and asks for a group.
BEGIN TRANSACTION;
CREATE TABLE pending_groups(name text, state DeploymentState, cmd text, infodict dict, primary key (name));
INSERT INTO "pending_groups" VALUES('lab',X'4E4F544946494544','groupadd lab',X'7B7D');
INSERT INTO "pending_groups" VALUES('wlcg---co',X'4E4F544946494544','groupadd wlcg---co',X'7B7D');
CREATE TABLE pending_memberships(unique_id text, supplementary_groups list, removal_groups list, state DeploymentState, cmd text, infodict dict, primary key (unique_id));
INSERT INTO "pending_memberships" VALUES('ann@https%3A%2F%2Fop.example%2F',X'5B22776C6367222C20226C6162225D',X'5B5D',X'4E4F544946494544','usermod --groups wlcg,lab ann',X'7B7D');
INSERT INTO "pending_memberships" VALUES('bob@https%3A%2F%2Fop.example%2F',X'5B22776C63672D2D2D636F225D',X'5B5D',X'4E4F544946494544','usermod --groups wlcg---co bob',X'7B7D');
INSERT INTO "pending_memberships" VALUES('cleo@https%3A%2F%2Fop.example%2F',X'5B22776C6367222C20226C6162225D',X'5B5D',X'50454E44494E47','usermod --groups wlcg,lab cleo',X'7B7D');
INSERT INTO "pending_memberships" VALUES('fay@https%3A%2F%2Fop.example%2F',X'5B226C6162225D',X'5B5D',X'4E4F544946494544','usermod --groups lab fay',X'7B7D');
CREATE TABLE pending_users(unique_id text, sub text, iss text, email text, full_name text, username text, state DeploymentState, cmd text, infodict dict, primary key (unique_id));
INSERT INTO "pending_users" VALUES('ann@https%3A%2F%2Fop.example%2F','ann','https://op.example/','ann@example.org','John Döe','ann',X'4E4F544946494544','useradd --comment ann@https%3A%2F%2Fop.example%2F -g lab --shell /bin/bash -b /home -m ann',X'7B7D');
INSERT INTO "pending_users" VALUES('bob@https%3A%2F%2Fop.example%2F','bob','https://op.example/','bob@example.org','John Döe','bob',X'4E4F544946494544','useradd --comment bob@https%3A%2F%2Fop.example%2F -g wlcg---co --shell /bin/bash -b /home -m bob',X'7B7D');
INSERT INTO "pending_users" VALUES('cleo@https%3A%2F%2Fop.example%2F','cleo','https://op.example/','cleo@example.org','John Döe','cleo',X'50454E44494E47','useradd --comment cleo@https%3A%2F%2Fop.example%2F -g lab --shell /bin/bash -b /home -m cleo',X'7B7D');
INSERT INTO "pending_users" VALUES('dan@https%3A%2F%2Fop.example%2F','dan','https://op.example/','dan@example.org','John Döe','dan',X'52454A4543544544','useradd --comment dan@https%3A%2F%2Fop.example%2F -g wlcg --shell /bin/bash -b /home -m dan',X'7B7D');
COMMIT;
