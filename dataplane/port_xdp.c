/* SPDX-License-Identifier: BSD-3-Clause */
/* libbpf's and libxdp's messages, which DPDK does not catch. */
#include "dataplane/port_xdp.h"

#include <dlfcn.h>
#include <rte_log.h>
#include <stdarg.h>
#include <stddef.h>

/* The levels of both libraries, enum libbpf_print_level and enum libxdp_print_level. */
enum print_level { PRINT_WARN, PRINT_INFO, PRINT_DEBUG };

typedef int print_function(enum print_level level, const char *format, va_list arguments);

/* Both print whole lines. */
__attribute__((format(printf, 2, 0))) static int print(enum print_level level, const char *format,
						       va_list arguments)
{
	if (level == PRINT_DEBUG)
		return 0;
	return rte_vlog(RTE_LOG_NOTICE, RTE_LOGTYPE_PMD, format, arguments);
}

/* The driver brings the libraries along; this program does not link them. */
static void catch_log_of(const char *library, const char *setter_name)
{
	void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
	print_function *(*set_print)(print_function *);

	if (!handle)
		return;
	*(void **)&set_print = dlsym(handle, setter_name);
	if (set_print)
		set_print(print);
	dlclose(handle);
}

void port_xdp_catch_log(void)
{
	catch_log_of("libbpf.so.1", "libbpf_set_print");
	catch_log_of("libxdp.so.1", "libxdp_set_print");
}
