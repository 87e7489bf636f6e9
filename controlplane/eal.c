/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting and stopping the EAL, and catching what it logs. */
#include "controlplane/eal.h"

#include <errno.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* One whole line of DPDK's log. */
static void write_line(struct eal_log *eal_log)
{
	int level = rte_log_cur_msg_loglevel();
	bool is_error = level > 0 && level <= (int)RTE_LOG_ERR;
	uint32_t suppressed;

	eal_log->line[eal_log->used] = '\0';
	eal_log->used = 0;
	if (eal_log->line[0] == '\0')
		return;
	if (is_error)
		memcpy(eal_log->last_error, eal_log->line, sizeof(eal_log->line));
	if (is_error && eal_log->is_started &&
	    log_limit_pass(&eal_log->limit, eal_log->log, &suppressed))
		log_warning(eal_log->log, "dpdk", "reports an error",
			    "text=\"%s\" suppressed_before=%u", eal_log->line, suppressed);
	else
		log_debug(eal_log->log, "dpdk", "says", "text=\"%s\"", eal_log->line);
}

static ssize_t stream_write(void *cookie, const char *bytes, size_t size)
{
	struct eal_log *eal_log = cookie;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n')
			write_line(eal_log);
		else if (eal_log->used < sizeof(eal_log->line) - 1)
			eal_log->line[eal_log->used++] = bytes[i];
	}
	return (ssize_t)size;
}

static int open_stream(struct eal_log *eal_log, struct log *log)
{
	const cookie_io_functions_t functions = { .write = stream_write };

	*eal_log = (struct eal_log){ .log = log };
	eal_log->stream = fopencookie(eal_log, "w", functions);
	if (!eal_log->stream)
		return -ENOMEM;
	setvbuf(eal_log->stream, NULL, _IONBF, 0);
	return rte_openlog_stream(eal_log->stream);
}

static void close_stream(struct eal_log *eal_log)
{
	rte_openlog_stream(NULL);
	fclose(eal_log->stream);
}

static void log_plan(const struct eal_plan *plan, struct log *log)
{
	char line[LOG_LINE_SIZE] = "";
	size_t used = 0;

	for (int i = 1; i < plan->argc && used < sizeof(line); i++)
		used += (size_t)snprintf(line + used, sizeof(line) - used, "%s%s", i > 1 ? " " : "",
					 plan->argv[i]);
	log_debug(log, "dpdk", "starting", "arguments=\"%s\"", line);
}

int eal_start(struct eal_log *eal_log, const struct eal_plan *plan, struct log *log, char *error,
	      size_t error_size)
{
	char *argv[EAL_ARGUMENT_MAX + 1];
	int result = open_stream(eal_log, log);

	if (result != 0) {
		snprintf(error, error_size, "cannot catch DPDK's log: %s", strerror(-result));
		return result;
	}
	log_plan(plan, log);
	memcpy(argv, plan->argv, sizeof(argv)); /* the EAL permutes it */
	result = rte_eal_init(plan->argc, argv);
	if (result >= 0)
		return 0;
	result = rte_errno ? -rte_errno : -EINVAL;
	snprintf(error, error_size, "DPDK did not start (%s)%s%s; --set log.level=debug shows more",
		 rte_strerror(-result), eal_log->last_error[0] ? ": " : "", eal_log->last_error);
	close_stream(eal_log);
	return result;
}

void eal_log_set_started(struct eal_log *eal_log)
{
	eal_log->is_started = true;
}

void eal_stop(struct eal_log *eal_log, bool had_memif)
{
	if (!had_memif)
		rte_eal_cleanup();
	rmdir(rte_eal_get_runtime_dir());
	close_stream(eal_log);
}
