PRAGMA application_id=0x444C4E53;
BEGIN TRANSACTION;
CREATE TABLE candidates (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	mosaic INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	ra DOUBLE, 
	dec DOUBLE, 
	x DOUBLE NOT NULL, 
	y DOUBLE NOT NULL, 
	flux DOUBLE, 
	radius DOUBLE, 
	signal_to_noise DOUBLE, 
	score DOUBLE, 
	raw_score DOUBLE, 
	spread DOUBLE, 
	model VARCHAR NOT NULL, 
	run INTEGER NOT NULL, 
	grade VARCHAR, 
	grader VARCHAR DEFAULT '' NOT NULL, 
	graded_at VARCHAR, 
	note TEXT DEFAULT '' NOT NULL, 
	FOREIGN KEY(mosaic) REFERENCES mosaics (number), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "candidates" VALUES(1,1,'field_x0000y0050',NULL,NULL,0.0,50.0,10.0,3.0,20.0,0.2,0.2,0.0,'finder-1',1,'X','Bo','2026-11-24T18:20:59.355259+00:00','');
INSERT INTO "candidates" VALUES(2,1,'field_x0100y0050',NULL,NULL,100.0,50.0,10.0,3.0,20.0,0.9,0.9,0.0,'finder-1',1,NULL,'',NULL,'弧 – arc?');
INSERT INTO "candidates" VALUES(3,1,'field_x0200y0050',NULL,NULL,200.0,50.0,10.0,3.0,20.0,0.5,0.5,0.0,'finder-1',1,NULL,'',NULL,'');
CREATE TABLE events (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid VARCHAR NOT NULL, 
	operation INTEGER NOT NULL, 
	action VARCHAR NOT NULL, 
	grader VARCHAR NOT NULL, 
	at VARCHAR NOT NULL, 
	candidate INTEGER NOT NULL, 
	kind VARCHAR NOT NULL, 
	payload TEXT NOT NULL, 
	model VARCHAR NOT NULL, 
	display TEXT, 
	dwell DOUBLE, 
	UNIQUE (uuid), 
	FOREIGN KEY(operation) REFERENCES operations (id), 
	FOREIGN KEY(candidate) REFERENCES candidates (id)
);
INSERT INTO "events" VALUES(1,'f9f24213-b112-4083-bf15-a1cbaae64a86',1,'do','Ada','2026-11-24T18:20:59.351839+00:00',1,'grade','{"grade":"A","grader":"Ada","graded_at":"2026-11-24T18:20:59.351011+00:00","before":{"grade":null,"grader":"","graded_at":null}}','finder-1','{"stretch":"asinh"}',2.5);
INSERT INTO "events" VALUES(2,'27d0fc83-bd66-4e97-b241-e7945aefb3b0',2,'do','Ada','2026-11-24T18:20:59.354127+00:00',2,'note','{"note":"弧 – arc?","before":{"note":""}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(3,'b008663b-019b-4911-8863-1360502ad742',3,'do','Bo','2026-11-24T18:20:59.355497+00:00',1,'grade','{"grade":"X","grader":"Bo","graded_at":"2026-11-24T18:20:59.355259+00:00","before":{"grade":"A","grader":"Ada","graded_at":"2026-11-24T18:20:59.351011+00:00"}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(4,'b2ec0f44-94f7-4fca-9edd-7cb8b5b09710',4,'do','Ada','2026-11-24T18:20:59.356848+00:00',2,'grade','{"grade":"C","grader":"Ada","graded_at":"2026-11-24T18:20:59.356631+00:00","before":{"grade":null,"grader":"","graded_at":null}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(5,'93adc51c-aead-4f48-9864-df8078275249',4,'do','Ada','2026-11-24T18:20:59.356848+00:00',3,'grade','{"grade":"C","grader":"Ada","graded_at":"2026-11-24T18:20:59.356631+00:00","before":{"grade":null,"grader":"","graded_at":null}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(6,'685e740b-c896-4d6e-be2d-e138799371dd',4,'undo','Ada','2026-11-24T18:20:59.359257+00:00',3,'grade','{"grade":null,"grader":"","graded_at":null,"before":{"grade":"C","grader":"Ada","graded_at":"2026-11-24T18:20:59.356631+00:00"}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(7,'c4c41d9e-735e-47d0-bded-02ee43fe73dc',4,'undo','Ada','2026-11-24T18:20:59.359667+00:00',2,'grade','{"grade":null,"grader":"","graded_at":null,"before":{"grade":"C","grader":"Ada","graded_at":"2026-11-24T18:20:59.356631+00:00"}}','finder-1',NULL,NULL);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('format','1');
INSERT INTO "meta" VALUES('created','2026-11-24T18:20:59.333261+00:00');
CREATE TABLE mosaics (
	number INTEGER NOT NULL, 
	id VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	stem VARCHAR NOT NULL, 
	paths TEXT NOT NULL, 
	ny INTEGER NOT NULL, 
	nx INTEGER NOT NULL, 
	bands TEXT NOT NULL, 
	pixel_scale DOUBLE, 
	has_wcs INTEGER NOT NULL, 
	extension VARCHAR NOT NULL, 
	match_radius DOUBLE NOT NULL, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
INSERT INTO "mosaics" VALUES(1,'id-field','field.fits.gz','field','["/sky/field.fits.gz"]',1000,2000,'["i"]',0.2,0,'',5.0);
CREATE TABLE operations (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	grader VARCHAR NOT NULL, 
	at VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	UNIQUE (uuid)
);
INSERT INTO "operations" VALUES(1,'77bc81db-78a6-4af2-b922-1964d50d475f','Grade A','Ada','2026-11-24T18:20:59.351516+00:00','done');
INSERT INTO "operations" VALUES(2,'3f51ac47-02d9-4abb-8f48-36802a1232d2','Note','Ada','2026-11-24T18:20:59.354053+00:00','done');
INSERT INTO "operations" VALUES(3,'1494d9eb-6228-4ab5-8092-b3d52fa438ee','Grade X','Bo','2026-11-24T18:20:59.355413+00:00','done');
INSERT INTO "operations" VALUES(4,'582f0012-24d2-4ce7-a708-32a9be40ad95','Grade C: 2 candidates','Ada','2026-11-24T18:20:59.356783+00:00','undone');
CREATE TABLE runs (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	mosaic INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	settings TEXT NOT NULL, 
	started VARCHAR NOT NULL, 
	finished VARCHAR, 
	state VARCHAR NOT NULL, 
	FOREIGN KEY(mosaic) REFERENCES mosaics (number)
);
INSERT INTO "runs" VALUES(1,1,'finder-1','{"threshold":1.5}','2026-11-24T18:20:59.345096+00:00',NULL,'running');
CREATE TABLE scores (
	candidate INTEGER NOT NULL, 
	run INTEGER NOT NULL, 
	model VARCHAR NOT NULL, 
	score DOUBLE, 
	raw_score DOUBLE, 
	spread DOUBLE, 
	UNIQUE (candidate, run), 
	FOREIGN KEY(candidate) REFERENCES candidates (id), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "scores" VALUES(1,1,'finder-1',0.2,0.2,0.0);
INSERT INTO "scores" VALUES(2,1,'finder-1',0.9,0.9,0.0);
INSERT INTO "scores" VALUES(3,1,'finder-1',0.5,0.5,0.0);
CREATE TABLE settings (
	"key" VARCHAR NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "settings" VALUES('selection','2');
CREATE INDEX operations_by_state ON operations (state, id);
CREATE INDEX candidates_by_score ON candidates (score);
CREATE INDEX candidates_by_grade ON candidates (grade, score);
CREATE INDEX candidates_by_position ON candidates (mosaic, y, x);
CREATE INDEX events_by_candidate ON events (candidate, id);
CREATE INDEX events_by_operation ON events (operation, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',1);
INSERT INTO "sqlite_sequence" VALUES('candidates',3);
INSERT INTO "sqlite_sequence" VALUES('operations',4);
INSERT INTO "sqlite_sequence" VALUES('events',7);
COMMIT;
