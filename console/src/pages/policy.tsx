export function NewPolicy() { return null; }
export function PolicyPage() { return null; }
