/* Every failpoint, once, with what has happened before it and not yet after it. Adding one is a line here and
 * TG_FAILPOINT("name") at the place. */
#ifndef TG_BASE_FAILPOINT_NAMES_H
#define TG_BASE_FAILPOINT_NAMES_H

/* X(name) */
#define TG_FAILPOINT_NAMES(X) \
    X("store.lock")             /* start: the folder is there, its lock is about to be taken */ \
    X("store.generation")       /* start: the lock is ours, the next generation is about to be claimed */ \
    X("store.generation_sync")  /* start: its file is there, but not durable */ \
    X("recovery.list")          /* start: the folder is ours, nobody has looked into it */ \
    X("recovery.read")          /* start: a manifest is about to be read */ \
    X("recovery.verify")        /* start: a manifest fits, its files are about to be verified */ \
    X("recovery.recommit")      /* start: a checkpoint is chosen, its sinks are about to commit it again */ \
    X("recovery.load")          /* start: a shard is about to load a state file */ \
    X("source.read")            /* file source: a block is about to be read */ \
    X("source.batch")           /* file source: the next batch is about to be cut out of it */ \
    X("store.epoch")            /* a checkpoint begins, its folder is about to be made */ \
    X("store.create")           /* a shard's state file is about to be created */ \
    X("checkpoint.cut")         /* everything on a shard has cut, its sinks have not */ \
    X("spool.open")             /* a shard needs memory for entries on their way there; an error = it is spent */ \
    X("store.append")           /* a header, block or footer is about to be written to a state file */ \
    X("checkpoint.acknowledged")/* a shard's sinks have all rows up to the cut, its file has no end yet */ \
    X("checkpoint.prepare")     /* sinks are about to say what a commit will need */ \
    X("store.sync")             /* a state file is whole, not durable */ \
    X("checkpoint.manifest")    /* all parts are complete, the manifest is about to be made */ \
    X("store.folder_sync")      /* state files are durable, their names are not */ \
    X("store.root_sync")        /* their names are, the name of their folder is not */ \
    X("manifest.create")        /* the manifest's temporary file is about to be created */ \
    X("manifest.write")         /* it is about to be written */ \
    X("manifest.sync")          /* it is whole, not durable */ \
    X("manifest.rename")        /* it is durable and has no name: not decided */ \
    X("manifest.folder_sync")   /* it has its name, which is not durable: decided, or not */ \
    X("checkpoint.commit")      /* decided; no sink has committed */ \
    X("checkpoint.commit_sink") /* the next sink is about to commit */ \
    X("checkpoint.positions")   /* complete; a shard is about to tell its sources */ \
    X("ack.create")             /* sinks have committed, the acknowledgement is about to be created */ \
    X("ack.write")              /* it is about to be written */ \
    X("ack.sync")               /* it is whole, not durable */ \
    X("ack.rename")             /* it is durable and has no name */ \
    X("ack.folder_sync")        /* it has its name, which is not durable */ \
    X("sweep.manifests")        /* old manifests are about to be removed */ \
    X("sweep.sync")             /* they are removed, not durably */ \
    X("sweep.files")            /* durably; the files they named are about to be removed */ \
    X("restore.sync")           /* restore: the mark that one has begun is there, not durable */ \
    X("restore.end")            /* restore: the checkpoint is there, durably, and still the mark */ \
    X("store.abort")            /* a checkpoint has failed, its files are about to be removed */ \
    X("file.append")            /* file sink without checkpoints: a block is about to be written */ \
    X("file.sync")              /* likewise: blocks are written, none of them is durable yet */ \
    X("file.full")              /* file sink: a further part is needed; an error = there is no room for it */ \
    X("file.segment")           /* file sink: a shard's next part is about to be created */ \
    X("file.stage")             /* file sink: a block is about to be written to a part */ \
    X("file.stage_sync")        /* file sink: a part is whole, not durable */ \
    X("file.stage_anew")        /* file sink: its sync failed; the rows are in a new file, not durable */ \
    X("file.stage_folder_sync") /* file sink: it is durable, its name is not */ \
    X("file.commit")            /* file sink: the checkpoint is complete, its rows are not in the final file */ \
    X("file.copy")              /* file sink: a part is about to be appended to the final file */ \
    X("file.commit_sync")       /* file sink: all parts are, not durably */ \
    X("file.commit_folder_sync")/* file sink: durably, but for the file's name */ \
    X("file.remove")            /* file sink: committed; a part is about to be removed */ \
    X("console.write")          /* console sink: a piece of a block is about to be written */ \
    X("sqlite.begin")           /* SQLite sink: a transaction is about to begin */ \
    X("sqlite.commit")          /* SQLite sink: a transaction is about to be committed */ \
    X("sqlite.committed")       /* SQLite sink: it is committed, no shard knows */ \
    X("kafka.serve")            /* Kafka sink: rows are outstanding; an error = the producer is dead */ \
    X("kafka.replace")          /* Kafka sink: the producer is dead, about to be replaced */ \
    X("kafka.flush")            /* Kafka sink: a flush is asked for */ \
    X("cassandra.write")        /* Cassandra sink: rows wait to be sent; an error = nobody has room */ \
    X("cassandra.flush")        /* Cassandra sink: a flush is asked for */ \
    X("ticks.write")            /* ticks of idle partitions are about to be written to their log */ \
    X("ticks.sync")             /* they are written, not durable: they have not acted */

#endif
