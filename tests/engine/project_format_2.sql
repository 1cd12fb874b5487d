PRAGMA application_id=1145851475;
BEGIN TRANSACTION;
CREATE TABLE calibration (
	candidate INTEGER NOT NULL, 
	uuid VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	is_lens INTEGER, 
	einstein_radius DOUBLE, 
	arc_snr DOUBLE, 
	repeats INTEGER, 
	arc BLOB, 
	x0 INTEGER, 
	y0 INTEGER, 
	PRIMARY KEY (candidate), 
	FOREIGN KEY(candidate) REFERENCES candidates (id), 
	UNIQUE (uuid), 
	FOREIGN KEY(repeats) REFERENCES candidates (id)
);
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
	subclass VARCHAR DEFAULT '' NOT NULL, 
	flag INTEGER DEFAULT '0' NOT NULL, 
	come_back INTEGER DEFAULT '0' NOT NULL, 
	einstein_radius DOUBLE, 
	kind VARCHAR DEFAULT '' NOT NULL, 
	FOREIGN KEY(mosaic) REFERENCES mosaics (number), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "candidates" VALUES(1,1,'field_x0000y0050',NULL,NULL,0.0,50.0,10.0,3.0,20.0,0.9,0.9,0.0,'finder-1',1,'X','Bo','2026-11-27T13:57:12.284743+00:00','','',0,0,1.25,'');
INSERT INTO "candidates" VALUES(2,1,'field_x0100y0050',NULL,NULL,100.0,50.0,10.0,3.0,20.0,0.5,0.5,0.0,'finder-1',1,'A','Ada','2026-11-27T13:57:12.236864+00:00','','',0,0,NULL,'');
INSERT INTO "candidates" VALUES(3,1,'field_x0200y0050',NULL,NULL,200.0,50.0,10.0,3.0,20.0,0.2,0.2,0.0,'finder-1',1,NULL,'',NULL,'','',0,0,NULL,'');
CREATE TABLE catalogues (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	name VARCHAR NOT NULL, 
	path VARCHAR NOT NULL, 
	columns TEXT NOT NULL, 
	matched_at VARCHAR NOT NULL, 
	radius DOUBLE NOT NULL, 
	objects INTEGER NOT NULL, 
	UNIQUE (name)
);
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
INSERT INTO "events" VALUES(1,'7ff7db71-fb7c-469b-9f93-72a169436103',1,'do','Ada','2026-11-27T13:57:12.236864+00:00',1,'grade','{"grade":"A","graded_at":"2026-11-27T13:57:12.236864+00:00","before":{"grade":null,"graded_at":null}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(2,'72f3efa9-5f0a-465e-953d-af52d60b3159',1,'do','Ada','2026-11-27T13:57:12.236864+00:00',2,'grade','{"grade":"A","graded_at":"2026-11-27T13:57:12.236864+00:00","before":{"grade":null,"graded_at":null}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(3,'703524f3-9c68-40c3-92a6-d3f2a0697902',2,'do','Ada','2026-11-27T13:57:12.264715+00:00',1,'subclass','{"subclass":"arc","before":{"subclass":""}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(4,'c7f7ae70-08b9-4077-8af1-20d0d44bf3e8',3,'do','Bo','2026-11-27T13:57:12.284743+00:00',1,'grade','{"grade":"X","graded_at":"2026-11-27T13:57:12.284743+00:00","before":{"grade":null,"graded_at":null}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(5,'6b557f36-6c42-4255-86a4-bbe64c00bca2',4,'do','Ada','2026-11-27T13:57:12.296617+00:00',2,'note','{"note":"弧 – arc?","noted_at":"2026-11-27T13:57:12.296617+00:00","before":{"note":"","noted_at":null}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(6,'52eea098-28c6-4cdd-a6ef-9b737e1a7c46',5,'do','Bo','2026-11-27T13:57:12.311531+00:00',1,'reveal','{"revealed":["score"],"before":{}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(7,'95938b15-ef13-46fd-96e7-a44baa97f7b2',4,'undo','Ada','2026-11-27T13:57:12.316496+00:00',2,'note','{"note":"","noted_at":null,"before":{"note":"弧 – arc?","noted_at":"2026-11-27T13:57:12.296617+00:00"}}','finder-1',NULL,NULL);
INSERT INTO "events" VALUES(8,'c9057e91-7fee-432a-bd24-6a552dffe33e',6,'do','Ada','2026-11-27T13:57:12.342626+00:00',1,'einstein_radius','{"einstein_radius":1.25,"before":{"einstein_radius":null}}','finder-1',NULL,NULL);
CREATE TABLE known (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	catalogue INTEGER NOT NULL, 
	candidate INTEGER, 
	mosaic INTEGER NOT NULL, 
	name VARCHAR NOT NULL, 
	ra DOUBLE NOT NULL, 
	dec DOUBLE NOT NULL, 
	separation DOUBLE, 
	reference TEXT NOT NULL, 
	grading VARCHAR NOT NULL, 
	FOREIGN KEY(catalogue) REFERENCES catalogues (id), 
	FOREIGN KEY(candidate) REFERENCES candidates (id), 
	FOREIGN KEY(mosaic) REFERENCES mosaics (number)
);
CREATE TABLE meta (
	"key" VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "meta" VALUES('format','2');
INSERT INTO "meta" VALUES('created','2026-11-27T13:57:12.117308+00:00');
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
	footprint TEXT, 
	PRIMARY KEY (number), 
	UNIQUE (id)
);
INSERT INTO "mosaics" VALUES(1,'id-field','field.fits.gz','field','["/sky/field.fits.gz"]',1000,2000,'["i"]',0.2,0,'',5.0,NULL);
CREATE TABLE operations (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	uuid VARCHAR NOT NULL, 
	text VARCHAR NOT NULL, 
	grader VARCHAR NOT NULL, 
	at VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	UNIQUE (uuid)
);
INSERT INTO "operations" VALUES(1,'258c5f88-be4d-4ba3-8e07-c02aca2e9594','Grade A: 2 candidates','Ada','2026-11-27T13:57:12.234332+00:00','done');
INSERT INTO "operations" VALUES(2,'3fdfb615-0af9-49e6-a668-22a21aa525be','Subclass arc','Ada','2026-11-27T13:57:12.263488+00:00','done');
INSERT INTO "operations" VALUES(3,'6c4c6b3b-8b1d-41b2-ab2d-4ba08284b1f2','Grade X','Bo','2026-11-27T13:57:12.283537+00:00','done');
INSERT INTO "operations" VALUES(4,'5ef32b62-1d06-4959-b6ad-eb7c90229fa7','Note','Ada','2026-11-27T13:57:12.295381+00:00','dropped');
INSERT INTO "operations" VALUES(5,'701f56a2-88ce-4938-afd2-77b232ff5efc','Reveal','Bo','2026-11-27T13:57:12.309635+00:00','noted');
INSERT INTO "operations" VALUES(6,'2c4eed71-10d6-46bf-a724-87166dce880b','Einstein radius 1.25"','Ada','2026-11-27T13:57:12.341473+00:00','done');
CREATE TABLE opinions (
	candidate INTEGER NOT NULL, 
	grader VARCHAR NOT NULL, 
	grade VARCHAR, 
	graded_at VARCHAR, 
	subclass VARCHAR DEFAULT '' NOT NULL, 
	note TEXT DEFAULT '' NOT NULL, 
	noted_at VARCHAR, 
	flag INTEGER DEFAULT '0' NOT NULL, 
	come_back INTEGER DEFAULT '0' NOT NULL, 
	einstein_radius DOUBLE, 
	PRIMARY KEY (candidate, grader), 
	FOREIGN KEY(candidate) REFERENCES candidates (id)
);
INSERT INTO "opinions" VALUES(1,'Bo','X','2026-11-27T13:57:12.284743+00:00','','',NULL,0,0,NULL);
INSERT INTO "opinions" VALUES(2,'Ada','A','2026-11-27T13:57:12.236864+00:00','','',NULL,0,0,NULL);
INSERT INTO "opinions" VALUES(1,'Ada','A','2026-11-27T13:57:12.236864+00:00','arc','',NULL,0,0,1.25);
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
INSERT INTO "runs" VALUES(1,1,'finder-1','{"threshold":1.5}','2026-11-27T13:57:12.201820+00:00',NULL,'running');
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
INSERT INTO "scores" VALUES(1,1,'finder-1',0.9,0.9,0.0);
INSERT INTO "scores" VALUES(2,1,'finder-1',0.5,0.5,0.0);
INSERT INTO "scores" VALUES(3,1,'finder-1',0.2,0.2,0.0);
CREATE TABLE settings (
	"key" VARCHAR NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "settings" VALUES('selection','2');
INSERT INTO "settings" VALUES('scheme','{"grades":[{"name":"3","text":"certain lens","value":3.0,"lens":true,"key":"3"},{"name":"2","text":"probable lens","value":2.0,"lens":true,"key":"2"},{"name":"1","text":"possible lens","value":1.0,"lens":null,"key":"1"},{"name":"0","text":"not a lens","value":0.0,"lens":false,"key":"0"}],"subclasses":[{"name":"arc","lens":true,"key":"Q"},{"name":"ring","lens":true,"key":"W"},{"name":"quad","lens":true,"key":"T"},{"name":"double","lens":true,"key":"Y"},{"name":"group","lens":true,"key":"P"},{"name":"spiral","lens":false,"key":"S"},{"name":"ring galaxy","lens":false,"key":"D"},{"name":"merger","lens":false,"key":"O"},{"name":"companion","lens":false,"key":"K"},{"name":"artefact","lens":false,"key":"J"},{"name":"star","lens":false,"key":"L"},{"name":"elliptical","lens":false,"key":"I"}]}');
CREATE INDEX operations_by_state ON operations (state, id);
CREATE INDEX candidates_by_score ON candidates (kind, score DESC);
CREATE INDEX candidates_by_grade ON candidates (kind, grade, score DESC);
CREATE INDEX candidates_by_position ON candidates (mosaic, y, x);
CREATE INDEX opinions_by_grader ON opinions (grader, grade, candidate);
CREATE INDEX events_by_grader ON events (grader, at);
CREATE INDEX events_by_candidate ON events (candidate, id);
CREATE INDEX events_by_operation ON events (operation, id);
CREATE INDEX known_by_candidate ON known (candidate);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',1);
INSERT INTO "sqlite_sequence" VALUES('candidates',3);
INSERT INTO "sqlite_sequence" VALUES('operations',6);
INSERT INTO "sqlite_sequence" VALUES('events',8);
COMMIT;
