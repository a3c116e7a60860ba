mod files;
mod upload;
