/* SPDX-License-Identifier: BSD-3-Clause */
/* One parser and one formatter for each type of option. */
#include "controlplane/option_value.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char size_suffixes[] = "KMGT";

/* The decimal number at 'text', which must start with a digit; '*end' = the character behind it. */
static int parse_decimal(const char *text, uint64_t *number, const char **end)
{
	char *rest;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	*number = strtoull(text, &rest, 10);
	*end = rest;
	return errno ? -EINVAL : 0;
}

static int parse_text(const struct option *option, const char *text, void *value)
{
	size_t size = strlen(text);

	if (size < option->min || size > option->max)
		return -EINVAL;
	for (size_t i = 0; i < size; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return -EINVAL;
	}
	memcpy(value, text, size + 1);
	return 0;
}

static int parse_number(const struct option *option, const char *text, void *value)
{
	uint64_t number;
	const char *end;

	if (parse_decimal(text, &number, &end) != 0 || *end || number < option->min ||
	    number > option->max)
		return -EINVAL;
	*(uint32_t *)value = (uint32_t)number;
	return 0;
}

static int parse_size(const struct option *option, const char *text, void *value)
{
	uint64_t size;
	const char *end;

	if (parse_decimal(text, &size, &end) != 0)
		return -EINVAL;
	if (*end) {
		const char *suffix = strchr(size_suffixes, *end);
		unsigned bits;

		if (!suffix || (end[1] != '\0' && strcmp(end + 1, "iB") != 0))
			return -EINVAL;
		bits = 10u * (unsigned)(suffix - size_suffixes + 1);
		if (size > UINT64_MAX >> bits)
			return -EINVAL;
		size <<= bits;
	}
	if (size < option->min || size > option->max)
		return -EINVAL;
	*(uint64_t *)value = size;
	return 0;
}

static int parse_word(const struct option *option, const char *text, void *value)
{
	(void)option;
	(void)text;
	(void)value;
	return -EINVAL; /* words were looked up before */
}

static int parse_ipv4(const struct option *option, const char *text, void *value)
{
	struct in_addr address;

	(void)option;
	if (inet_pton(AF_INET, text, &address) != 1)
		return -EINVAL;
	*(uint32_t *)value = ntohl(address.s_addr);
	return 0;
}

/* "A.B.C.D<separator>NUMBER", NUMBER within the option's bounds. */
static int parse_ipv4_and_number(const struct option *option, const char *text, char separator,
				 uint32_t *ipv4, uint32_t *number)
{
	const char *middle = strchr(text, separator);
	char address[INET_ADDRSTRLEN];

	if (!middle || (size_t)(middle - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(middle - text));
	address[middle - text] = '\0';
	if (parse_ipv4(option, address, ipv4) != 0)
		return -EINVAL;
	return parse_number(option, middle + 1, number);
}

static int parse_network(const struct option *option, const char *text, void *value)
{
	struct option_network network;

	if (parse_ipv4_and_number(option, text, '/', &network.ipv4, &network.prefix) != 0)
		return -EINVAL;
	*(struct option_network *)value = network;
	return 0;
}

static int parse_endpoint(const struct option *option, const char *text, void *value)
{
	struct option_endpoint endpoint;

	if (parse_ipv4_and_number(option, text, ':', &endpoint.ipv4, &endpoint.port) != 0)
		return -EINVAL;
	*(struct option_endpoint *)value = endpoint;
	return 0;
}

static int add_endpoint(const struct option *option, struct option_endpoints *list,
			const char *text)
{
	struct option_endpoint endpoint;

	if (list->count == OPTION_ENDPOINT_COUNT_MAX ||
	    parse_endpoint(option, text, &endpoint) != 0)
		return -EINVAL;
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->items[i].ipv4 == endpoint.ipv4 && list->items[i].port == endpoint.port)
			return -EINVAL;
	}
	list->items[list->count++] = endpoint;
	return 0;
}

static int parse_endpoints(const struct option *option, const char *text, void *value)
{
	struct option_endpoints list = { 0 };
	char item[INET_ADDRSTRLEN + sizeof(":65535")];

	for (const char *at = text;; at++) {
		size_t size;

		at += strspn(at, " ");
		size = strcspn(at, ", ");
		if (size >= sizeof(item))
			return -EINVAL;
		memcpy(item, at, size);
		item[size] = '\0';
		if (add_endpoint(option, &list, item) != 0)
			return -EINVAL;
		at += size;
		at += strspn(at, " ");
		if (*at == '\0')
			break;
		if (*at != ',')
			return -EINVAL;
	}
	*(struct option_endpoints *)value = list;
	return 0;
}

static int parse_mac(const struct option *option, const char *text, void *value)
{
	unsigned b[6];
	int used = 0;

	(void)option;
	if (strlen(text) != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &used) != 6 ||
	    used != 17 || (b[0] & 1)) /* no group address */
		return -EINVAL;
	for (int i = 0; i < 6; i++)
		((struct option_mac *)value)->bytes[i] = (uint8_t)b[i];
	return 0;
}

static int add_cpus(const struct option *option, struct option_cpus *list, uint64_t first,
		    uint64_t last)
{
	if (last < first || last > option->max)
		return -EINVAL;
	for (uint64_t cpu = first; cpu <= last; cpu++) {
		for (uint32_t i = 0; i < list->count; i++) {
			if (list->cpus[i] == cpu)
				return -EINVAL;
		}
		if (list->count == WORKER_COUNT_MAX)
			return -EINVAL;
		list->cpus[list->count++] = (uint16_t)cpu;
	}
	return 0;
}

static int parse_cpus(const struct option *option, const char *text, void *value)
{
	struct option_cpus list = { 0 };

	for (const char *at = text;; at++) {
		uint64_t first, last;

		if (parse_decimal(at, &first, &at) != 0)
			return -EINVAL;
		last = first;
		if (*at == '-' && parse_decimal(at + 1, &last, &at) != 0)
			return -EINVAL;
		if (add_cpus(option, &list, first, last) != 0)
			return -EINVAL;
		if (*at == '\0')
			break;
		if (*at != ',')
			return -EINVAL;
	}
	*(struct option_cpus *)value = list;
	return 0;
}

static void format_text(const void *value, char *text)
{
	snprintf(text, OPTION_VALUE_SIZE, "%s", (const char *)value);
}

static void format_number(const void *value, char *text)
{
	snprintf(text, OPTION_VALUE_SIZE, "%" PRIu32, *(const uint32_t *)value);
}

static void format_size(const void *value, char *text)
{
	uint64_t size = *(const uint64_t *)value;
	int unit = -1;

	while (size > 0 && size % 1024 == 0 && size_suffixes[unit + 1]) {
		size /= 1024;
		unit++;
	}
	snprintf(text, OPTION_VALUE_SIZE, "%" PRIu64 "%.1s", size,
		 unit < 0 ? "" : size_suffixes + unit);
}

static void format_ipv4(const void *value, char *text)
{
	struct in_addr address = { htonl(*(const uint32_t *)value) };

	inet_ntop(AF_INET, &address, text, OPTION_VALUE_SIZE);
}

static void format_ipv4_and_number(uint32_t ipv4, char separator, uint32_t number, char *text)
{
	char address[OPTION_VALUE_SIZE];

	format_ipv4(&ipv4, address);
	snprintf(text, OPTION_VALUE_SIZE, "%.15s%c%" PRIu32, address, separator, number);
}

static void format_network(const void *value, char *text)
{
	const struct option_network *network = value;

	format_ipv4_and_number(network->ipv4, '/', network->prefix, text);
}

static void format_endpoint(const void *value, char *text)
{
	const struct option_endpoint *endpoint = value;

	format_ipv4_and_number(endpoint->ipv4, ':', endpoint->port, text);
}

static void format_endpoints(const void *value, char *text)
{
	const struct option_endpoints *list = value;
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < list->count && used < OPTION_VALUE_SIZE; i++) {
		char one[OPTION_VALUE_SIZE];

		format_endpoint(&list->items[i], one);
		used += (size_t)snprintf(text + used, OPTION_VALUE_SIZE - used, "%s%s",
					 i ? "," : "", one);
	}
}

static void format_mac(const void *value, char *text)
{
	const uint8_t *b = ((const struct option_mac *)value)->bytes;

	snprintf(text, OPTION_VALUE_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3],
		 b[4], b[5]);
}

static void format_cpus(const void *value, char *text)
{
	const struct option_cpus *list = value;
	size_t used = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < list->count && used < OPTION_VALUE_SIZE; i++)
		used += (size_t)snprintf(text + used, OPTION_VALUE_SIZE - used, "%s%u",
					 i ? "," : "", list->cpus[i]);
}

static void expect_text(const struct option *option, char *text)
{
	if (option->min == 0)
		snprintf(text, OPTION_EXPECTED_SIZE, "at most %" PRIu64 " characters", option->max);
	else
		snprintf(text, OPTION_EXPECTED_SIZE, "%" PRIu64 "..%" PRIu64 " characters",
			 option->min, option->max);
}

static void expect_number(const struct option *option, char *text)
{
	snprintf(text, OPTION_EXPECTED_SIZE, "a number, %" PRIu64 "..%" PRIu64, option->min,
		 option->max);
}

static void expect_size(const struct option *option, char *text)
{
	char min[OPTION_VALUE_SIZE], max[OPTION_VALUE_SIZE];

	format_size(&option->min, min);
	format_size(&option->max, max);
	snprintf(text, OPTION_EXPECTED_SIZE, "a size such as 512M or 4G, %.20s..%.20s", min, max);
}

static void expect_word(const struct option *option, char *text)
{
	(void)option;
	text[0] = '\0';
}

static void expect_ipv4(const struct option *option, char *text)
{
	(void)option;
	snprintf(text, OPTION_EXPECTED_SIZE, "an IPv4 address");
}

static void expect_network(const struct option *option, char *text)
{
	snprintf(text, OPTION_EXPECTED_SIZE,
		 "an IPv4 address with its prefix, /%" PRIu64 "../%" PRIu64
		 ", such as 10.77.0.2/24",
		 option->min, option->max);
}

static void expect_endpoint(const struct option *option, char *text)
{
	(void)option;
	snprintf(text, OPTION_EXPECTED_SIZE, "an IPv4 address and a port, such as 127.0.0.1:7780");
}

static void expect_endpoints(const struct option *option, char *text)
{
	(void)option;
	snprintf(text, OPTION_EXPECTED_SIZE,
		 "up to %u IPv4 addresses with a port, such as 10.0.0.1:7800,10.0.0.2:7800",
		 OPTION_ENDPOINT_COUNT_MAX);
}

static void expect_mac(const struct option *option, char *text)
{
	(void)option;
	snprintf(text, OPTION_EXPECTED_SIZE, "a unicast MAC address such as 02:00:00:00:00:01");
}

static void expect_cpus(const struct option *option, char *text)
{
	(void)option;
	snprintf(text, OPTION_EXPECTED_SIZE, "CPU numbers, each once, such as 1-3,6");
}

static const struct {
	size_t size; /* bytes of the value */
	int (*parse)(const struct option *option, const char *text, void *value);
	void (*format)(const void *value, char *text);
	void (*expect)(const struct option *option, char *text);
} types[] = {
	[OPTION_TEXT] = { OPTION_TEXT_SIZE, parse_text, format_text, expect_text },
	[OPTION_NUMBER] = { sizeof(uint32_t), parse_number, format_number, expect_number },
	[OPTION_SIZE] = { sizeof(uint64_t), parse_size, format_size, expect_size },
	[OPTION_WORD] = { sizeof(uint32_t), parse_word, format_number, expect_word },
	[OPTION_IPV4] = { sizeof(uint32_t), parse_ipv4, format_ipv4, expect_ipv4 },
	[OPTION_NETWORK] = { sizeof(struct option_network), parse_network, format_network,
			     expect_network },
	[OPTION_ENDPOINT] = { sizeof(struct option_endpoint), parse_endpoint, format_endpoint,
			      expect_endpoint },
	[OPTION_ENDPOINTS] = { sizeof(struct option_endpoints), parse_endpoints, format_endpoints,
			       expect_endpoints },
	[OPTION_MAC] = { sizeof(struct option_mac), parse_mac, format_mac, expect_mac },
	[OPTION_CPUS] = { sizeof(struct option_cpus), parse_cpus, format_cpus, expect_cpus },
};

size_t option_value_size(enum option_type type)
{
	return types[type].size;
}

static bool is_number(const struct option *option)
{
	return option->size == sizeof(uint32_t);
}

int option_value_parse(const struct option *option, const char *text, void *value)
{
	for (const struct option_word *word = option->words; word->text; word++) {
		if (strcmp(word->text, text) != 0)
			continue;
		memset(value, 0, option->size);
		if (is_number(option))
			*(uint32_t *)value = word->value;
		return 0;
	}
	return types[option->type].parse(option, text, value);
}

/* The word 'value' is written as, or NULL. */
static const char *word_of(const struct option *option, const void *value)
{
	static const uint8_t zeros[sizeof(struct options)];

	for (const struct option_word *word = option->words; word->text; word++) {
		if (is_number(option) ? *(const uint32_t *)value == word->value
				      : memcmp(value, zeros, option->size) == 0)
			return word->text;
	}
	return NULL;
}

const char *option_value_format(const struct option *option, const void *value,
				char text[OPTION_VALUE_SIZE])
{
	const char *word = word_of(option, value);

	if (word)
		snprintf(text, OPTION_VALUE_SIZE, "%s", word);
	else
		types[option->type].format(value, text);
	return text;
}

const char *option_value_expected(const struct option *option, char text[OPTION_EXPECTED_SIZE])
{
	size_t used;

	types[option->type].expect(option, text);
	used = strlen(text);
	for (const struct option_word *word = option->words; word->text; word++) {
		const char *joint = used == 0 ? "" : word[1].text ? ", " : " or ";

		used += (size_t)snprintf(text + used, OPTION_EXPECTED_SIZE - used, "%s%s", joint,
					 word->text);
	}
	return text;
}
